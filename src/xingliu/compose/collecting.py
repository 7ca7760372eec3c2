"""How often a control plane's process looks for cycles among its objects."""

import gc

YOUNG, MIDDLE, OLD = 50_000, 20, 50


def collect_seldom() -> None:
    """What is here is not looked at again, and all of what comes after only seldom.

    The cloud is kept in memory: with 13,000 nodes and 20,000 jobs one look at everything stops the process for 0.4 s, and
    by Python's own thresholds each scheduling cycle made enough objects for one or two. Nearly all go by their counts.
    """
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
    gc.enable()
