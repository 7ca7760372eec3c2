"""Idempotency keys: repeating a creation with the same key makes nothing new.

A key belongs to the user who sent it. It is kept with what it made, in the transaction that made it.
"""

import hashlib
import json
from collections.abc import Mapping

from xingliu.control.errors import IdempotencyConflict
from xingliu.control.ports import Receipt, Unit
from xingliu.kernel.errors import BadValue
from xingliu.tenancy.model import Actor

KEY_LONGEST = 200


def made_before(unit: Unit, actor: Actor, key: str | None, request: Mapping[str, object]) -> str | None:
    """The id of what this key made, None where it made nothing yet. Raises IdempotencyConflict, BadValue.

    `request` is all that the creation was asked with, JSON types; values that are secret stay out of it.
    """
    if key is None:
        return None
    if not 0 < len(key) <= KEY_LONGEST or not key.isprintable():
        raise BadValue(key[:40], "an idempotency key", f"Send 1 to {KEY_LONGEST} printable characters, new for each request.")
    receipt = unit.receipts.get(_whole(actor, key))
    if receipt is None:
        return None
    if receipt.request_sha256 != _digest(request):
        raise IdempotencyConflict(key)
    return receipt.subject


def keep_receipt(unit: Unit, actor: Actor, key: str | None, request: Mapping[str, object], subject: str, now_us: int) -> None:
    """Remember that `key` made `subject`."""
    if key is not None:
        unit.receipts.put(Receipt(_whole(actor, key), _digest(request), subject, now_us))


def _whole(actor: Actor, key: str) -> str:
    return f"{actor.user}:{key}"


def _digest(request: Mapping[str, object]) -> str:
    text = json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
