"""What `bench/slurm_backlog.py` holds both sides to: nothing overfilled, nothing given twice at once."""

from bench.backlog import ON_GPUS, draw, overfilled, overlapping
from bench.peers.slurm import names_in


def test_a_node_that_gave_more_than_it_has_is_named() -> None:
    assert overfilled([("n1", 4), ("n2", 8), ("n1", 4)], 8) == []
    assert overfilled([("n1", 4), ("n2", 8), ("n1", 5)], 8) == ["n1 gave 9 of 8"]


def test_a_node_that_two_jobs_had_at_once_is_named() -> None:
    assert overlapping([("n1", 5, 9), ("n1", 0, 5), ("n2", 4, 6)]) == []
    assert overlapping([("n1", 0, 9), ("n1", 2, 3), ("n1", 8, 10)]) == [
        "n1 was given at 2 and free at 9",
        "n1 was given at 8 and free at 9",
    ]


def test_the_names_of_nodes_are_told_from_their_ranges() -> None:
    assert names_in("n[1-3,7]") == ["n1", "n2", "n3", "n7"]
    assert names_in("n12") == ["n12"]
    assert names_in("(null)") == []


def test_one_seed_is_one_backlog() -> None:
    backlog = draw(20, ON_GPUS, (60, 120), seed=1)
    assert backlog == draw(20, ON_GPUS, (60, 120), seed=1) != draw(20, ON_GPUS, (60, 120), seed=2)
    assert [asked.number for asked in backlog] == list(range(20))
    assert all((asked.nodes, asked.gpus) in ON_GPUS and asked.seconds in (60, 120) for asked in backlog)
