"""Money is whole minor units; a price is whole 10^-9 of the currency per stated unit. No float anywhere.

Source: docs/decisions/0003-quantities.md.
"""

import re
from dataclasses import dataclass

from xingliu.kernel.errors import BadValue

NANO = 10**9
_DIGITS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "BHD": 3, "KWD": 3, "OMR": 3, "TND": 3, "JOD": 3}
_PRICE = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?\Z")


def minor_digits(currency: str) -> int:
    """How many decimal digits the currency's minor unit has (ISO 4217); two unless listed."""
    return _DIGITS.get(currency, 2)


@dataclass(frozen=True, slots=True)
class Price:
    """10^-9 of the currency per hour of one whole core or GPU; zero or more."""

    nano_per_hour: int


def read_price(text: str) -> Price:
    """`2.40` as a price per hour. Raises BadValue."""
    match = _PRICE.match(text.strip())
    if match is None:
        raise BadValue(text, "a price", "Write a plain decimal number of the currency per hour, such as 2.40.")
    return Price(int(match.group(1)) * NANO + int((match.group(2) or "").ljust(9, "0")))


def show_price(price: Price) -> str:
    whole, rest = divmod(price.nano_per_hour, NANO)
    digits = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{digits}"


def amount_minor(milli_us: int, price: Price, currency: str) -> int:
    """What `milli_us` (milli-units x microseconds) cost at `price`, in minor units of the currency, rounded half up."""
    numerator = milli_us * price.nano_per_hour * int(10 ** minor_digits(currency))
    denominator = 1000 * 3_600_000_000 * NANO
    return (2 * numerator + denominator) // (2 * denominator)


def show_money(minor: int, currency: str) -> str:
    digits = minor_digits(currency)
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    if not digits:
        return f"{sign}{minor} {currency}"
    return f"{sign}{minor // 10**digits}.{minor % 10**digits:0{digits}d} {currency}"
