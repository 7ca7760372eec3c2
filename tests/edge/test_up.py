"""Bringing a cloud up and down, on loopback and off it, and carrying its state elsewhere."""

import datetime
import ipaddress
import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.edge.living import XL, LivingCloud, living_cloud, wait_until

SMALL = ("--cpu", "0.1", "--memory", "60MB")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LivingCloud]:
    with living_cloud(tmp_path / "home") as cloud:
        yield cloud


@contextmanager
def ended(cloud: LivingCloud) -> Iterator[LivingCloud]:
    """For a cloud that the test itself brings up."""
    try:
        yield cloud
    finally:
        cloud.end()


def test_a_second_cloud_on_the_same_home_is_refused_and_the_first_goes_on(cloud: LivingCloud) -> None:
    refused = cloud.xl("up", "--port", "0", ok=False)
    assert refused.returncode == 1 and "already up" in refused.stderr and "xl down" in refused.stderr
    assert cloud.xl("run", "-y", "--wait", *SMALL, "--", "true").returncode == 0


def test_a_port_that_is_taken_is_said_and_nothing_is_left_behind(tmp_path: Path) -> None:
    cloud = LivingCloud(tmp_path / "home")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = cloud.xl("up", "--detach", "--port", str(port), ok=False)
    assert refused.returncode == 1 and f"Port {port}" in refused.stderr and "--port 0" in refused.stderr
    with ended(cloud):
        cloud.up()


def test_the_admins_key_is_for_its_owner_only(cloud: LivingCloud) -> None:
    for name in ("client.json", "secret.key", "store.db"):
        assert stat.S_IMODE((cloud.home / name).stat().st_mode) & 0o077 == 0, name


def test_jobs_go_on_while_the_cloud_is_down_and_are_accounted_for(cloud: LivingCloud) -> None:
    started = json.loads(cloud.xl("run", "-y", "--json", "--name", "on", *SMALL, "--", "sh", "-c", "sleep 3; exit 4").stdout)
    cloud.wait_for_state(started["id"], "RUNNING")
    assert "its jobs go on" in cloud.xl("down").stdout
    assert "does not answer" in cloud.xl("ps", ok=False).stderr
    assert cloud.xl("down", ok=False).returncode == 1
    wait_until(lambda: not cloud.own_processes(started["id"], "sleep"), "the job ends by itself")
    cloud.up()
    job = cloud.wait_for_end(started["id"])[0]
    assert (job["state"], job["exit_code"], job["attempt"]) == ("FAILED", 4, 1)
    assert job["finished_us"] - job["started_us"] >= 3_000_000
    cloud.assert_conserved()


def test_going_down_may_stop_every_job_first(cloud: LivingCloud) -> None:
    for number in range(3):
        cloud.xl("run", "-y", "--name", f"long-{number}", *SMALL, "--", "sleep", "600")
    assert "were stopped" in cloud.xl("down", "--stop-jobs").stdout
    cloud.assert_nothing_left()


def test_ctrl_c_ends_a_cloud_in_the_foreground_and_leaves_its_jobs(tmp_path: Path) -> None:
    cloud = LivingCloud(tmp_path / "home")
    env = {**os.environ, "XL_HOME": str(cloud.home), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    with ended(cloud), subprocess.Popen([XL, "up", "--port", "0"], env=env, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None and "The cloud is up at" in up.stdout.readline()
        job = json.loads(cloud.xl("run", "-y", "--json", *SMALL, "--", "sleep", "600").stdout)["id"]
        cloud.wait_for_state(job, "RUNNING")
        up.send_signal(signal.SIGINT)
        up.stdout.read()
        assert up.wait(timeout=60) == 0
        assert cloud.own_processes(job, "sleep")


def test_a_backup_carries_everything_but_the_key_file(cloud: LivingCloud, tmp_path: Path) -> None:
    cloud.xl("secret", "create", "TOKEN", input_text="open-sesame")
    cloud.xl("run", "-y", "--wait", "--name", "kept", *SMALL, "--", "sh", "-c", "echo result > $XL_JOB_DIR/out")
    usage = cloud.xl("usage", "--by", "job", "--json").stdout
    said = cloud.xl("backup", str(tmp_path / "cloud.tar.gz"))
    assert "secret.key" in said.stdout
    assert stat.S_IMODE((tmp_path / "cloud.tar.gz").stat().st_mode) == 0o600
    refused = cloud.xl("restore", str(tmp_path / "cloud.tar.gz"), ok=False)
    assert refused.returncode == 1 and "already up" in refused.stderr
    with ended(LivingCloud(tmp_path / "elsewhere" / "home")) as other:
        other.home.parent.mkdir()
        other.xl("restore", str(tmp_path / "cloud.tar.gz"))
        assert not (other.home / "secret.key").exists()
        (other.home / "secret.key").write_bytes((cloud.home / "secret.key").read_bytes())
        (other.home / "secret.key").chmod(0o600)
        other.up()
        assert json.loads(other.xl("usage", "--by", "job", "--json").stdout)["items"] == json.loads(usage)["items"]
        other.xl("cp", "kept:out", str(tmp_path / "out"))
        assert (tmp_path / "out").read_text() == "result\n"
        file = tmp_path / "job.yaml"
        file.write_text("kind: job\nname: s\nsecrets: [TOKEN]\nresources: {cpu: 0.1, memory: 60MB}\nrun: echo ${#TOKEN}\n")
        assert "11" in other.xl("run", "-y", "-f", str(file)).stdout


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return folder / "cert.pem", folder / "key.pem"


def test_off_loopback_there_is_no_cloud_without_tls(tmp_path: Path) -> None:
    cloud = LivingCloud(tmp_path / "home")
    refused = cloud.xl("up", "--detach", "--port", "0", "--host", "0.0.0.0", ok=False)
    assert refused.returncode == 1 and "--tls-cert" in refused.stderr


def test_with_a_certificate_everything_goes_over_tls(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    with ended(LivingCloud(tmp_path / "home")) as cloud:
        cloud.xl("up", "--detach", "--port", "0", "--tls-cert", str(cert), "--tls-key", str(key))
        assert "https://127.0.0.1" in cloud.xl("whoami").stdout
        job = json.loads(cloud.xl("run", "-y", "--json", *SMALL, "--", "sleep", "600").stdout)["id"]
        cloud.wait_for_state(job, "RUNNING")
        assert cloud.xl("attach", job, "--", "sh", "-c", "exit 9", ok=False).returncode == 9
        known = json.loads((cloud.home / "client.json").read_text())
        (cloud.home / "client.json").write_text(json.dumps({"url": known["url"], "key": known["key"]}))
        untrusted = cloud.xl("ps", ok=False)
        assert untrusted.returncode == 1 and "--ca" in untrusted.stderr
        assert cloud.xl("login", known["url"], "--ca", str(cert), input_text=known["key"]).returncode == 0
