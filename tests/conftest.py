"""What holds for every test: reproducible examples, and no skip where everything was installed."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.postgres import postgres_url as postgres_url

SLOW_MACHINES = [HealthCheck.too_slow]
for name, examples in {"check": 200, "test": 2000, "soak": 20_000}.items():
    settings.register_profile(
        name,
        max_examples=examples,
        deadline=None,
        derandomize=name == "check",
        print_blob=True,
        suppress_health_check=SLOW_MACHINES,
    )
settings.load_profile(os.environ.get("XL_PROFILE", "check"))

STAMP = Path(__file__).parent.parent / ".venv" / "installed.json"
INSTALLED = STAMP.exists() and '"complete": true' in STAMP.read_text()


def _no_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if INSTALLED and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, though `./dev install` put everything in place: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _no_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _no_skip(report)
    return report
