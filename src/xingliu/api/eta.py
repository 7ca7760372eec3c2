"""What the API says of expected starts."""

from xingliu.api.shapes import Out
from xingliu.control.forecasts import Forecast


class EtaOut(Out):
    """The expected start, and what it rests on.

    `start_us` is null where it cannot be told: `basis` is then `none`, and `sentence` says why. Else `basis` is `now`,
    `time limits`, or `history` where somebody before it has no time limit and is assumed to run as long as jobs like it
    did. `within_us`: how far apart the instants are that were looked at there; 0: each was. `after_us`: it does not start
    until then, and no further was looked. `as_of_us`: the instant of the cloud that was looked at. `error_us`: how far off
    the last forecasts of this basis were, in the middle of `error_of` starts; null before the first.
    """

    start_us: int | None
    basis: str
    sentence: str
    within_us: int
    after_us: int | None
    as_of_us: int
    error_us: int | None
    error_of: int


def eta_out(forecast: Forecast) -> EtaOut:
    expectation, miss = forecast.expectation, forecast.miss
    return EtaOut(
        start_us=expectation.start_us,
        basis=expectation.basis.value,
        sentence=expectation.sentence,
        within_us=expectation.within_us,
        after_us=expectation.after_us,
        as_of_us=forecast.as_of_us,
        error_us=miss.median_us if miss else None,
        error_of=miss.of if miss else 0,
    )
