"""`xl snapshot`: operators export what the scheduler knows from a cloud that runs; anybody replays it without one."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.edge.living import LivingCloud, living_cloud, wait_until
from tests.edge.served import served


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    with living_cloud(tmp_path_factory.mktemp("snapshots") / "home") as cloud:
        cloud.xl("run", "-y", "--name", "giant", "--cpu", "1000", "--memory", "1GB", "--", "true", ok=False)
        cloud.xl("run", "-y", "--name", "held-up", "--cpu", "0.1", "--memory", "60MB", "--nodes", "2", "--", "true", ok=False)
        job = json.loads(cloud.xl("ps", "-a", "--json").stdout)[0]["id"]
        wait_until(lambda: json.loads(cloud.xl("why", job, "--json").stdout)["reason"], "a cycle has looked at it")
        yield cloud


@pytest.mark.parametrize("name", ["why.json", "why.json.gz"])
@pytest.mark.parametrize("options", [(), ("--anonymize",)])
def test_an_exported_snapshot_replays_to_the_same_plan_without_a_cloud(
    cloud: LivingCloud, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    file = tmp_path / name
    done = cloud.xl("snapshot", "export", *options, str(file))
    assert "2 waiting jobs" in done.stdout
    data = gzip.decompress(file.read_bytes()) if name.endswith(".gz") else file.read_bytes()
    assert (b"held-up" in data) is not bool(options)
    away = LivingCloud(tmp_path / "nowhere")
    replayed = away.xl("snapshot", "replay", str(file))
    assert "The same plan as in the file." in replayed.stdout and "2 InvalidRequest" in replayed.stdout
    job = next(iter(json.loads(away.xl("snapshot", "replay", "--json", str(file)).stdout)["decisions"]))
    assert "It asks for" in away.xl("snapshot", "replay", "--job", job, str(file)).stdout


def test_a_file_that_is_there_is_kept_unless_told(cloud: LivingCloud, tmp_path: Path) -> None:
    file = tmp_path / "why.json"
    file.write_text("mine")
    refused = cloud.xl("snapshot", "export", str(file), ok=False)
    assert refused.returncode == 1 and file.read_text() == "mine"
    cloud.xl("snapshot", "export", "--force", str(file))
    assert json.loads(file.read_text())["kind"] == "snapshot"


def test_another_decision_and_a_broken_file_are_told(cloud: LivingCloud, tmp_path: Path) -> None:
    file = tmp_path / "why.json"
    cloud.xl("snapshot", "export", str(file))
    document = json.loads(file.read_text())
    giant = document["snapshot"]["pending"][0]
    giant["held"], giant["parts"][0]["request"]["cpu_milli"], giant["parts"][0]["replicas"] = True, 100, 1
    file.write_text(json.dumps(document))
    other = cloud.xl("snapshot", "replay", str(file), ok=False)
    assert other.returncode == 3 and "now waits: Held" in other.stdout
    file.write_text('{"kind": "snapshot",\n "version": }')
    broken = cloud.xl("snapshot", "replay", str(file), ok=False)
    assert broken.returncode == 1 and f"{file}:2: column 13: this is not JSON" in broken.stderr
    assert cloud.xl("snapshot", "replay", "--job", "x", str(tmp_path / "none"), ok=False).returncode == 1


def test_only_operators_may_export_what_all_tenants_wait_for(tmp_path: Path) -> None:
    with served(tmp_path / "home") as cloud:
        owner = cloud.tenant("acme", "nlp")
        people = {role: cloud.user(role, None, (role, "")) for role in ("operator", "finance")}
        assert cloud.admin.get("/v1/snapshot").json()["plan"]["decisions"] == []
        assert people["operator"].get("/v1/snapshot", anonymous=True).json()["anonymous"] is True
        for someone in (owner, people["finance"]):
            assert someone.get("/v1/snapshot").json()["code"] == "forbidden"
