"""The planner's input as a file."""

from typing import Any

from fastapi import APIRouter

from xingliu.api.asking import Asker, Control

router = APIRouter(tags=["cloud"])


@router.get("/v1/snapshot")
def export_snapshot(control: Control, asker: Asker, anonymous: bool = False) -> dict[str, Any]:
    """What the scheduler knows now and what it makes of it, for `xl snapshot replay`. Operators only."""
    return control.snapshots.export(asker, anonymous=anonymous)
