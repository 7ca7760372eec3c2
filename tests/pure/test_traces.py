"""Traces as others record them: what a row means, what is left out, and what is refused with which words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xingliu.forecast.trace import Trace
from xingliu.forecast.trace_formats import EmptyTrace, UnknownTrace, read_trace
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.problems import InvalidDocument

PHILLY = """job_id,submit_utc,submit_s,duration_s,num_gpus,vc
7,2017-09-04 10:30:41,0,2240194,8,7f04ca
8,2017-09-04 10:31:41,60,90.5,12,6214e9
"""
ITP = """cluster,job_id,submit_s,duration_s,num_gpus
cluster01,b,50,2429,64
cluster02,a,20,60,1
cluster02,zero,21,0,1
"""
OPENB = """name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p0,12000,16384,1,1000,,LS,Running,0,100,10.0
p1,6000,12288,1,460,T4,BE,Running,5,100,5.0
p2,6000,12288,2,1000,V100M16|V100M32,BE,Succeeded,6,100,6.0
p3,4000,8192,0,0,,BE,Succeeded,7,57,7.0
p4,4000,8192,1,1000,,BE,Pending,7,57,
"""
SACCT = """JobID|Account|Submit|Start|End|Timelimit|NNodes|AllocTRES
11|nlp|2026-01-05T10:00:00|2026-01-05T10:05:00|2026-01-05T12:05:00|1-00:00:00|2|billing=64,cpu=64,gres/gpu:a100=16,gres/gpu=16,mem=512G,node=2
11.batch|nlp|2026-01-05T10:00:00|2026-01-05T10:05:00|2026-01-05T12:05:00||1|cpu=32,node=1
12_3|cv|2026-01-05T10:01:00|2026-01-05T10:05:00|2026-01-05T10:06:00|UNLIMITED|1|cpu=3,mem=1500M,node=1
13|cv|2026-01-05T10:02:00|Unknown|Unknown|30:00|1|
14|cv|2026-01-05T10:02:00|2026-01-05T10:03:00|Unknown|30:00|1|cpu=1,node=1
"""
LOG = json.dumps(
    [
        {
            "status": "Pass",
            "vc": "ee9e8c",
            "jobid": "application_1",
            "attempts": [
                {
                    "start_time": "2017-10-07 01:00:00",
                    "end_time": "2017-10-07 01:10:00",
                    "detail": [{"ip": "m1", "gpus": ["gpu0"]}],
                },
                {
                    "start_time": "2017-10-07 02:00:00",
                    "end_time": "2017-10-07 02:20:00",
                    "detail": [{"ip": "m1", "gpus": ["gpu0", "gpu1"]}, {"ip": "m2", "gpus": ["gpu0", "gpu1"]}],
                },
            ],
            "submitted_time": "2017-10-07 00:59:00",
            "user": "ce4b8e",
        },
        {"status": "Killed", "vc": "x", "jobid": "application_2", "attempts": [], "submitted_time": "2017-10-07 00:59:00"},
    ]
)


def read(text: str, as_format: str | None = None) -> Trace:
    return read_trace("jobs.csv", text.splitlines(keepends=True), as_format=as_format)


def told(trace: Trace) -> list[str]:
    """Each job as a line: id, tenant, seconds of submission, run time, what it asks for."""
    return [
        f"{job.id} {job.tenant} at {job.submitted_us // 10**6} for {job.run_us / 10**6:g}: {job.nodes or '?'} nodes {job.gpus} "
        f"{job.gpu or 'GPUs'} {job.cpu_milli}m {job.memory_bytes} limit {job.limit_us}"
        for job in trace.jobs
    ]


MEANT = {
    "philly": (
        PHILLY,
        [
            "7 7f04ca at 1504521041 for 2.24019e+06: ? nodes 8 GPUs 0m 0 limit None",
            "8 6214e9 at 1504521101 for 90.5: ? nodes 12 GPUs 0m 0 limit None",
        ],
        [],
    ),
    "itp": (
        ITP,
        [
            "a cluster02 at 20 for 60: ? nodes 1 GPUs 0m 0 limit None",
            "b cluster01 at 50 for 2429: ? nodes 64 GPUs 0m 0 limit None",
        ],
        ["1 left out: jobs that ran for no time"],
    ),
    "openb": (
        OPENB,
        [
            "p0 LS at 0 for 90: 1 nodes 1 GPUs 12000m 17179869184 limit None",
            "p1 BE at 5 for 95: 1 nodes 1 T4 6000m 12884901888 limit None",
            "p2 BE at 6 for 94: 1 nodes 2 GPUs 6000m 12884901888 limit None",
            "p3 BE at 7 for 50: 1 nodes 0 GPUs 4000m 8589934592 limit None",
        ],
        [
            "1 asked for a share of a GPU and got a whole one",
            "1 named several models of GPU and took any",
            "1 left out: pods that were never placed",
        ],
    ),
    "sacct": (
        SACCT,
        [
            "11 nlp at 1767607200 for 7200: 2 nodes 16 a100 32000m 274877906944 limit 86400000000",
            "12_3 cv at 1767607260 for 60: 1 nodes 0 GPUs 3000m 1572864000 limit None",
        ],
        [
            "1 left out: steps of jobs (use `sacct -X`)",
            "1 left out: jobs that never started",
            "1 left out: jobs that still ran",
        ],
    ),
}


@pytest.mark.parametrize("name", MEANT)
def test_a_format_is_found_by_its_columns_and_each_row_means_one_job(name: str) -> None:
    text, jobs, notes = MEANT[name]
    trace = read(text)
    assert (trace.format, told(trace), list(trace.notes)) == (name, jobs, notes)
    assert trace.dated is (name in ("philly", "sacct"))


def test_phillys_own_log_counts_all_attempts_and_the_gpus_of_the_last() -> None:
    trace = read(LOG)
    assert told(trace) == ["application_1 ee9e8c at 1507337940 for 1800: ? nodes 4 GPUs 0m 0 limit None"]
    assert trace.notes == ("1 left out: jobs that never ran, or of which no end is known",)


def test_columns_may_stand_in_any_order_with_others_between() -> None:
    rows = [line.split(",") for line in ITP.splitlines()]
    turned = "\n".join(",".join([*reversed(row), "more"]) for row in rows)
    assert told(read(turned)) == told(read(ITP))


def test_ids_that_stand_twice_are_told_apart() -> None:
    trace = read("cluster,job_id,submit_s,duration_s,num_gpus\nc,a,1,1,1\nc,a,2,1,1\n")
    assert [job.id for job in trace.jobs] == ["a", "a#2"]


REFUSED = {
    "num_gpus is a word": (
        PHILLY.replace(",12,", ",twelve,"),
        ["jobs.csv line 3: column 5, num_gpus: 'twelve' is not a number from 0 up"],
    ),
    "half a GPU": (ITP.replace(",64", ",0.5"), ["jobs.csv line 2: column 5, num_gpus: '0.5' is not a whole number"]),
    "cut off": (ITP[:-8], ["jobs.csv line 4: it has 2 cells, and the header has 5"]),
    "no date": (
        PHILLY.replace("2017-09-04 10:30:41", "yesterday"),
        ["jobs.csv line 2: column 2, submit_utc: 'yesterday' is not a date and time"],
    ),
    "a time nobody writes": (
        SACCT.replace("1-00:00:00", "1 day"),
        ["jobs.csv line 2: column 6, Timelimit: '1 day' is not a time as Slurm writes it"],
    ),
    "memory in parsecs": (
        SACCT.replace("mem=512G", "mem=512x"),
        ["jobs.csv line 2: column 8, AllocTRES: mem='512x' is not an amount of memory"],
    ),
    "JSON that ends": ('[{"vc": "x"', ["jobs.csv line 1: column 12: this is not JSON: Expecting ',' delimiter"]),
    "a log without ids": (LOG.replace("jobid", "id"), ["jobs.csv: [0].jobid: nothing is not text"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_told_with_line_and_column(case: str) -> None:
    text, messages = REFUSED[case]
    with pytest.raises(InvalidDocument) as caught:
        read(text)
    assert str(caught.value).splitlines() == messages
    assert caught.value.problems[0].line or case == "a log without ids"


def test_an_unknown_table_is_told_which_format_is_nearest_and_what_it_lacks() -> None:
    with pytest.raises(UnknownTrace) as caught:
        read("cluster,job_id,duration_s,num_gpus\nc,a,1,1\n")
    assert str(caught.value).startswith("jobs.csv:1: no trace format")
    assert caught.value.advice().startswith("Nearest is itp, which has submit_s as well.")


def test_a_forced_format_names_the_columns_it_lacks() -> None:
    with pytest.raises(InvalidDocument, match=r"line 1: read as philly, it lacks the column vc"):
        read(ITP, as_format="philly")


@pytest.mark.parametrize("text", [ITP.splitlines()[0], "\n".join(SACCT.splitlines()[:1])])
def test_a_trace_without_jobs_is_refused(text: str) -> None:
    with pytest.raises(EmptyTrace):
        read(text)


def test_no_more_problems_are_told_than_anyone_reads() -> None:
    bad = "".join(f"c,{number},x,y,z\n" for number in range(1000))
    with pytest.raises(InvalidDocument) as caught:
        read(ITP + bad)
    assert len(caught.value.problems) == 20


@given(
    st.text(alphabet='\x00\n\r,|"[]{}:-0123456789.einfNa\ufeff é', max_size=60), st.sampled_from([PHILLY, ITP, OPENB, SACCT, ""])
)
def test_whatever_the_text_is_it_is_read_or_refused_with_a_reason(noise: str, before: str) -> None:
    try:
        assert read(before + noise).jobs
    except XingliuError as refused:
        assert str(refused)
