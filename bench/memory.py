"""Memory of the control plane with 10,000 finished jobs in its store.

The jobs are real rows, written through the control plane's own store before it starts (running them would take minutes);
then `xl up`, a few real jobs, a listing of all jobs page by page, and the resident memory of its process.
Beside it: the same with an empty store. What it does not show: supervisor and spawner (printed apart), or many clients.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from ours import Cloud
from report import Result

SPEC = {"kind": "job", "name": "true", "run": "true"}


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def measure(cloud: Cloud) -> float:
    """After some real work."""
    client = cloud.client()
    for _ in range(20):
        client.wait(client.submit(SPEC))
    after = None
    while True:
        page = client.request("GET", "/v1/jobs?limit=500" + (f"&after={after}" if after else ""))
        after = page["next"]
        if after is None:
            break
    time.sleep(2)
    return resident_mb(cloud.control_pid())


def fill(cloud: Cloud, jobs: int) -> None:
    """Copies of a job that really ran, each with its role, replica, attempt, lease and events, under ids of their own."""
    from xingliu.adapters.host import SystemIds  # noqa: PLC0415 - only this bench looks inside, and only here
    from xingliu.adapters.sql.store import open_store  # noqa: PLC0415
    from xingliu.kernel.ids import attempt_id, lease_id, replica_id, role_id  # noqa: PLC0415

    store, ids = open_store(f"sqlite:///{cloud.home / 'store.db'}"), SystemIds()
    store.seize("bench")
    with store.read() as unit:
        job = unit.jobs.find(limit=1)[0]
        events = unit.events.find({"subject": job.id})
        (role,), (replica,) = unit.roles.find({"job": job.id}), unit.replicas.find({"job": job.id})
        (attempt,), (lease,) = unit.attempts.find({"job": job.id}), unit.leases.find({"job": job.id})
    for start in range(0, jobs, 500):
        with store.write() as unit:
            for number in range(start, min(start + 500, jobs)):
                new = replace(job, id=ids.job(job.submitted_us + number * 1000))
                its_role = replace(role, id=role_id(new.id, "main"), job=new.id)
                its_replica = replace(replica, id=replica_id(its_role.id, 0), role=its_role.id, job=new.id)
                its_attempt = replace(attempt, id=attempt_id(its_replica.id, 1), replica=its_replica.id, job=new.id)
                unit.jobs.put(new)
                unit.roles.put(its_role)
                unit.replicas.put(its_replica)
                unit.attempts.put(its_attempt)
                unit.leases.put(replace(lease, id=lease_id(its_attempt.id), attempt=its_attempt.id, job=new.id))
                for event in events:
                    unit.events.append(replace(event, subject=new.id))
    store.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    jobs = parser.parse_args().jobs
    with Cloud() as cloud:
        empty = measure(cloud)
        print(f"with 20 jobs: {empty:.0f} MB", flush=True)
        cloud.xl("down")
        fill(cloud, jobs)
        cloud.up()
        full = measure(cloud)
        total = len(list((cloud.home / "ended").iterdir()))
    print(f"with {jobs} finished jobs more: {full:.0f} MB ({total} of them ran here)")
    Result("memory", "MB", round(full, 1), None, None, {"empty": round(empty, 1), "aim": 150}).print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
