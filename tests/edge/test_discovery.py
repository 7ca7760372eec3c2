"""What is found out about this machine, and what is made of machines that are not here."""

import os
import sys
from pathlib import Path

import pytest
from tests.local import Clock, local_cloud

from xingliu.adapters.local.cgroups import CgroupTree, detect_cgroups
from xingliu.adapters.local.gpus import Gpu, Gpus, NoSuchGpu, short_model
from xingliu.adapters.local.interpreters import find_interpreters
from xingliu.adapters.local.isolation import Isolation, Walls
from xingliu.adapters.local.machine import LocalMachine, node_name, processor_name
from xingliu.adapters.local.places import Places
from xingliu.fleet.model import NodeState
from xingliu.kernel.errors import BadValue
from xingliu.kernel.ids import LeaseId

TWO = Gpus((Gpu(0, 3, "GPU-aa", "H100", 80 * 10**9), Gpu(1, 1, "GPU-bb", "H100", 80 * 10**9)), "570.1")


def test_this_machine_becomes_a_node(tmp_path: Path) -> None:
    with local_cloud(tmp_path / "home") as cloud:
        node = cloud.parts.machine.discover(Clock().now_us())
    assert node.state is NodeState.JOINING
    assert node.capacity["cpu"] == len(os.sched_getaffinity(0)) * 1000
    assert 0 < node.capacity["memory"] < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    interpreters = node.facts["interpreters"]
    assert isinstance(interpreters, list)
    assert sys.version.split()[0] in {one["version"] for one in interpreters}
    assert isinstance(node.facts["disk_free_bytes"], int)


def test_gpus_are_devices_of_their_flavor(tmp_path: Path) -> None:
    places = Places(tmp_path)
    machine = LocalMachine(places, Isolation(Walls.SESSION, CgroupTree()), find_interpreters(places), TWO)
    node = machine.discover(0)
    assert node.flavor == "h100"
    assert node.capacity["gpu.h100"] == 2000
    assert [(device.index, device.uuid, device.model) for device in node.devices] == [
        (0, "GPU-aa", "H100"),
        (1, "GPU-bb", "H100"),
    ]


def test_a_job_is_given_the_device_files_of_its_gpus_by_their_minor_numbers() -> None:
    assert "/dev/nvidia3" in TWO.device_files([0])
    assert "/dev/nvidia1" not in TWO.device_files([0])
    assert TWO.visible([1, 0]) == "GPU-bb,GPU-aa"
    assert TWO.device_files([]) == []
    with pytest.raises(NoSuchGpu, match="no GPU 2"):
        TWO.visible([2])


def test_what_is_missing_is_said() -> None:
    bare = Isolation(Walls.SESSION, CgroupTree()).facts()
    assert "single tenant" in str(bare["missing"])
    assert "memory cgroup" in str(bare["missing"])
    whole = Isolation(Walls.UID, CgroupTree(2, dict.fromkeys(("memory", "cpu", "pids"), Path("/x")))).facts()
    assert "cgroup" not in str(whole["missing"])


def test_limits_are_written_as_each_version_takes_them() -> None:
    first = CgroupTree(1, {"memory": Path("/m/x"), "cpu": Path("/c/x"), "cpuacct": Path("/c/x"), "pids": Path("/p/x")}, swap=True)
    limits = dict(first.limits(LeaseId("a"), cpu_milli=1500, memory_bytes=10**9))
    assert limits["/c/x/a"] == {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000"}
    assert list(limits["/m/x/a"]) == ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
    second = CgroupTree(2, dict.fromkeys(("memory", "cpu", "pids"), Path("/u/x")), swap=True)
    (folder, values), *rest = second.limits(LeaseId("a"), cpu_milli=1, memory_bytes=10**9)
    assert (folder, rest) == ("/u/x/a", [])
    assert values == {"memory.max": "1000000000", "memory.swap.max": "0", "cpu.max": "1000 100000", "pids.max": "4096"}


def test_a_machine_without_cgroups_has_version_zero() -> None:
    assert detect_cgroups("xingliu-none", mounts="proc /proc proc rw 0 0\n").version == 0


def test_interpreters_answer_to_name_version_and_path(tmp_path: Path) -> None:
    places = Places(tmp_path)
    places.make()
    (places.pythons / "torch").symlink_to(sys.executable)
    found = find_interpreters(places)
    named = found.find("torch")
    assert named is not None
    assert str(named.path) == sys.executable
    for asked in (named.version, named.version.rpartition(".")[0], f"python{named.version.rpartition('.')[0]}", sys.executable):
        answer = found.find(asked)
        assert answer is not None
        assert named.version.startswith(answer.version.rpartition(".")[0])
    with pytest.raises(Exception, match=r"no Python interpreter 3\.1;"):
        found.find("3.1")


def test_names_are_made_of_what_machines_call_themselves() -> None:
    assert node_name("GPU_box.example.org") == "gpu-box"
    assert node_name("...") == "node"
    assert processor_name("model name\t: EPYC 9\n") == "EPYC 9"
    assert processor_name("") == ""


@pytest.mark.parametrize("name", ["../x", "a/b", ".", "", "-x", "x" * 300])
def test_no_name_leads_out_of_the_home(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadValue):
        Places(tmp_path).replica(LeaseId(name))


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
        ("NVIDIA RTX A6000", "RTXA6000"),
        ("Tesla V100-SXM2-16GB", "V100"),
        ("NVIDIA L40S", "L40S"),
        ("", "GPU"),
    ],
)
def test_a_gpu_is_known_by_the_word_people_ask_for_it_by(name: str, short: str) -> None:
    assert short_model(name) == short
