"""`pip install .` and then `xl up`: what someone gets who never ran `./dev`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.edge.living import LivingCloud

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The `xl` of a virtual environment of its own, made from a copy of the source."""
    folder = tmp_path_factory.mktemp("install")
    source = folder / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [folder / "venv" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", source]
    subprocess.run(pip, check=True, env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"})
    yield folder / "venv" / "bin" / "xl"
    shutil.rmtree(folder / "venv")


def test_an_installed_cloud_comes_up_and_runs_a_job(installed: Path, tmp_path: Path) -> None:
    cloud = LivingCloud(tmp_path / "home")
    env = {name: value for name, value in os.environ.items() if not name.startswith("XL_")}
    env.update(XL_HOME=str(cloud.home), XDG_CONFIG_HOME=str(tmp_path / "config"))

    def xl(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([installed, *words], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)

    try:
        up = xl("up", "--detach", "--port", "0")
        assert up.returncode == 0, up.stderr
        ran = xl("run", "-y", "-f", "--", "echo", "from an installed cloud")
        assert ran.returncode == 0 and "from an installed cloud" in ran.stdout, ran.stderr
        assert xl("down").returncode == 0
    finally:
        cloud.end()
