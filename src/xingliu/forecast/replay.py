"""What would happen to a job that is not submitted yet."""

from dataclasses import replace

from xingliu.forecast.ahead import NO_HISTORY, Decide, look_ahead
from xingliu.forecast.history import History
from xingliu.forecast.model import Expectation, Verdict, WhatIf
from xingliu.scheduling.model import PendingJob, Place, Snapshot, StayPending
from xingliu.workloads.model import NEVER_STARTS


def what_if(snapshot: Snapshot, job: PendingJob, decide: Decide, history: History = NO_HISTORY) -> WhatIf:
    """What would happen if `job`, whose id nothing else has, were submitted into `snapshot`."""
    asked = replace(snapshot, pending=(*snapshot.pending, job))
    decision = next(decision for decision in decide(asked).decisions if decision.job == job.id)
    return judged(decision, look_ahead(asked, decide, history, only=job.id).expectations[job.id])


def judged(decision: Place | StayPending, expectation: Expectation) -> WhatIf:
    """What the next cycle would make of it, with when it starts."""
    if isinstance(decision, Place):
        return WhatIf(Verdict.NOW, None, expectation)
    never = decision.wait.reason in NEVER_STARTS
    return WhatIf(Verdict.NEVER if never else Verdict.LATER, decision.wait, expectation)
