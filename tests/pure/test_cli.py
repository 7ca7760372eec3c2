"""What the command line makes of answers, without a cloud."""

import click
import pytest

from xingliu.cli.client import Client
from xingliu.cli.credentials import Credentials, check_url
from xingliu.cli.errors import PlainHttpRefused
from xingliu.cli.failing import problem_lines
from xingliu.cli.following import ending, exit_code, state_line
from xingliu.cli.output import show_request, show_resources, table_lines
from xingliu.cli.reading import Source, prefixed
from xingliu.cli.submit import Dashed
from xingliu.cli.unpacking import inside
from xingliu.cli.usage import hours
from xingliu.cli.users import binding
from xingliu.cli.what_ifs import called, show_beside, split
from xingliu.cli.why import evidence
from xingliu.kernel.documents import parse
from xingliu.kernel.errors import BadValue
from xingliu.kernel.problems import InvalidDocument
from xingliu.workloads.spec import read_job

ENDS = {
    "it succeeded": ({"state": "SUCCEEDED", "exit_code": 0}, 0, ""),
    "its own code": ({"state": "FAILED", "exit_code": 3}, 3, ", exit code 3"),
    "a signal": ({"state": "FAILED", "signal": 9, "message": "out of memory"}, 137, ", signal 9: out of memory"),
    "time limit": ({"state": "TIMED_OUT", "signal": 15}, 143, ", signal 15"),
    "stopped, and it exited with 0": ({"state": "CANCELLED", "exit_code": 0}, 1, ""),
    "nobody saw it end": ({"state": "FAILED", "message": "the shim was lost"}, 1, ": the shim was lost"),
}


@pytest.mark.parametrize(("job", "code", "words"), ENDS.values(), ids=ENDS)
def test_waiting_ends_with_the_jobs_own_code(job: dict[str, object], code: int, words: str) -> None:
    assert exit_code(job) == code
    assert ending(job) == words


def test_a_waiting_job_is_shown_with_its_reason() -> None:
    wait = {"reason": "WaitingForCapacity", "sentence": "2 cores are free and it needs 4"}
    assert state_line({"name": "a", "state": "PENDING", "wait": wait}) == "a PENDING: 2 cores are free and it needs 4"
    assert state_line({"name": "a", "state": "RUNNING", "attempt": 2}) == "a RUNNING, attempt 2"


def test_columns_line_up_and_empty_cells_are_dashes() -> None:
    assert table_lines(("A", "LONG"), [("xyz", None), ("x", 1)]) == ["A    LONG", "xyz  -", "x    1"]


def test_a_line_of_a_log_stays_on_its_line_in_a_table() -> None:
    assert table_lines(("A",), [("one\ntwo",)])[1] == "one two"


def test_requests_and_amounts_read_as_people_say_them() -> None:
    assert show_request({"cpu_milli": 1500, "memory_bytes": 2 * 10**9, "gpu": None}) == "1.5 cores, 2 GB"
    assert show_request({"cpu_milli": 1000, "memory_bytes": 10**9, "gpu": {"count": 8, "model": "H100"}}) == "8 H100, 1 GB"
    assert show_resources({"cpu": 2000, "memory": 4 * 10**9, "gpu.h100": 1000}) == "2 cores, 4 GB, 1 GPU of h100"


def test_the_evidence_for_a_reason_leaves_out_what_says_nothing() -> None:
    asked = {"nodes": 1, "gpus": 0, "cpu_milli": 1000, "memory_bytes": 10**9, "gpu_model": None}
    numbers = {"asked": asked, "nodes_that_fit": 0, "out_of_service": [], "ahead_count": 0, "quota": {"gpu.h100": 8000}}
    assert evidence(numbers) == "asked (nodes 1, 1 core, 1 GB); nodes that fit 0; quota (8 GPUs of h100)"


def test_hours_are_cut_not_rounded_up() -> None:
    assert hours(1000 * 3_600_000_000) == "1.0000"
    assert hours(1000 * 3_600_000_000 - 1) == "0.9999"


def test_only_complete_lines_get_a_rank_and_none_is_lost() -> None:
    source = Source(1, "1")
    assert prefixed(source, b"a\nb") == b"[1] a\n"
    assert prefixed(source, b"c\n\n") == b"[1] bc\n[1] \n"
    assert source.rest == b""


def test_a_key_never_travels_in_clear_off_this_machine() -> None:
    assert check_url("http://127.0.0.1:8470/") == "http://127.0.0.1:8470"
    assert check_url("localhost:8470") == "http://localhost:8470"
    assert check_url("[::1]:8470") == "http://[::1]:8470"
    assert check_url("cloud.example.org") == "https://cloud.example.org"
    for url in ("http://cloud.example.org", "http://127.0.0.1.example.org", "http://localhost@example.org", "ftp://127.0.0.1"):
        with pytest.raises(PlainHttpRefused):
            check_url(url)


def test_problems_of_a_file_are_one_a_line_with_their_place() -> None:
    with pytest.raises(InvalidDocument) as caught:
        read_job(parse("kind: job\nname: a\nrun: x\nnum_nodes: 2\n", "job.yaml"))
    assert problem_lines(caught.value) == ["job.yaml:4: there is no key 'num_nodes'; it is 'nodes' here"]


PLACES = [
    ("out/last.pt", "out/last.pt", "."),
    ("last.pt", "out/last.pt", "."),
    ("out/a/b", "out", "a/b"),
    ("a/b", ".", "a/b"),
    ("./a", ".", "a"),
    ("out", "out/", "."),
]


@pytest.mark.parametrize(("member", "asked", "place"), PLACES)
def test_a_copy_lands_under_the_name_that_was_asked_for(member: str, asked: str, place: str) -> None:
    assert str(inside(member, asked)) == place


def test_words_after_two_dashes_are_a_command() -> None:
    command = Dashed("run", params=[click.Argument(["words"], nargs=-1)])
    assert command.make_context("run", ["--", "python", "-c", "1"]).meta["xingliu.cli.submit"] == ("python", "-c", "1")
    assert command.make_context("run", ["job.yaml"]).meta["xingliu.cli.submit"] is None


def test_a_role_is_written_with_its_scope() -> None:
    assert binding("member:acme/nlp") == {"role": "member", "scope": "acme/nlp"}
    assert binding("operator") == {"role": "operator", "scope": ""}
    with pytest.raises(BadValue):
        binding(":acme")


def test_a_client_keeps_its_key_out_of_its_address() -> None:
    client = Client(Credentials("http://127.0.0.1:1/", "xlk_a_b"))
    assert client.url == "http://127.0.0.1:1" and client.headers()["Authorization"] == "Bearer xlk_a_b"


GIVEN = {"name": None, "nodes": (8, 16), "gpu": ("L40S:4", "2"), "time_limit": ("6h",), "queue": ()}


def test_what_ifs_of_a_file_are_all_that_is_given_and_of_a_command_all_but_the_first_of_each() -> None:
    own, changes = split(GIVEN, as_file=True)
    assert own == {"name": None, "nodes": None, "gpu": None, "time_limit": None, "queue": None}
    assert [called(change) for change in changes] == ["nodes 8", "nodes 16", "gpu L40S:4", "gpu 2", "time limit 6h"]
    own, changes = split(GIVEN, as_file=False)
    assert own == {"name": None, "nodes": 8, "gpu": "L40S:4", "time_limit": "6h", "queue": None}
    assert changes == [{"nodes": 16}, {"gpu": 2}]


def test_what_ifs_are_shown_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    def column(verdict: str, sentence: str, change: dict[str, object], minor: int) -> dict[str, object]:
        eta = {"start_us": 1 if verdict == "now" else None, "basis": "now" if verdict == "now" else "none"}
        price = {"currency": "USD", "per_hour_minor": minor, "total_minor": None}
        seats = [{"node": "n1"}, {"node": "n2"}] if verdict == "now" else []
        said = {"verdict": verdict, "sentence": sentence, "change": change, "eta": eta}
        return {**said, "list_price": price, "seats": seats}

    show_beside({**column("now", "", {}, 360), "what_ifs": [column("never", "It asks for 9 nodes.", {"nodes": 9}, 3240)]})
    assert capsys.readouterr().out.splitlines() == [
        "                    as it is       nodes 9",
        "starts              now            never",
        "expected start      now            never",
        "rests on            now            none",
        "on                  n1 and 1 more  -",
        "list price an hour  3.60 USD       32.40 USD",
        "at most in all      -              -",
        "nodes 9: It asks for 9 nodes.",
    ]
