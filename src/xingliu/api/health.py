"""For whatever watches the control plane; no key is needed, and nothing here names anyone."""

from collections.abc import Iterable

from fastapi import APIRouter, Response

from xingliu.api.asking import Control
from xingliu.api.shapes import Out
from xingliu.control.gauges import Gauge

router = APIRouter(tags=["health"])


class HealthOut(Out):
    status: str


@router.get("/healthz")
async def healthz() -> HealthOut:
    """That the process answers."""
    return HealthOut(status="ok")


@router.get("/readyz")
def readyz(control: Control) -> HealthOut:
    """That the store answers as well; 503 where it does not."""
    control.gauges.check()
    return HealthOut(status="ready")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
def metrics(control: Control) -> Response:
    """The control plane's own figures, in Prometheus' text format."""
    return Response(_exposed(control.gauges.read()), media_type="text/plain; version=0.0.4; charset=utf-8")


def _exposed(gauges: Iterable[Gauge]) -> str:
    lines: list[str] = []
    name = ""
    for gauge in gauges:
        if gauge.name != name:
            name = gauge.name
            lines += [f"# HELP {name} {gauge.meaning}", f"# TYPE {name} gauge"]
        label = f'{{{gauge.label[0]}="{gauge.label[1]}"}}' if gauge.label else ""
        lines.append(f"{name}{label} {gauge.value}")
    return "\n".join(lines) + "\n"
