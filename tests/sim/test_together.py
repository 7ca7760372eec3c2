"""Jobs that are submitted together are recorded together, or none of them is."""

import pytest

from xingliu.kernel.errors import Unknown
from xingliu.sim.cloud import SimCloud
from xingliu.sim.estate import admin
from xingliu.workloads.model import JobState

FILE = {"kind": "job", "name": "hello", "run": "true", "queue": "default"}


def test_jobs_submitted_together_wait_in_one_transaction_with_a_role_and_an_event_each() -> None:
    plane = SimCloud(1000).plane
    assert plane is not None
    before = plane.store.version()
    jobs = plane.submissions.submit_together(admin(plane), [FILE, {**FILE, "nodes": 2}, FILE], project="acme/lab")
    assert plane.store.version() == before + 1
    with plane.store.read() as unit:
        assert unit.jobs.find({"state": JobState.PENDING}) == jobs
        assert [role.replicas for role in unit.roles.find()] == [1, 2, 1]
        assert [event.subject for event in unit.events.find({"type": "job.submitted"})] == [job.id for job in jobs]


def test_where_one_of_them_cannot_be_accepted_none_is_recorded() -> None:
    plane = SimCloud(1000).plane
    assert plane is not None
    with pytest.raises(Unknown):
        plane.submissions.submit_together(admin(plane), [FILE, {**FILE, "queue": "nowhere"}], project="acme/lab")
    with plane.store.read() as unit:
        assert unit.jobs.find() == []
