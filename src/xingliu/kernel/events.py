"""The event log: every change appends one typed, numbered event in its own transaction.

Audit, `xl events`, usage, notifications and change streams are readers with cursors over it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class EventDraft:
    """What happened, before the store gives it its number.

    Attributes:
        type: `noun.verb` in the past, such as `job.submitted`; the noun is also the list it belongs to.
        subject: the id of what changed.
        actor: the user's id, or `xingliu` where the cloud itself acted.
        cause: one plain sentence, or empty.
        tenant, project: whose it is; empty for what belongs to the whole cloud.
        facts: what a reader needs, of JSON types only.
    """

    type: str
    subject: str
    actor: str
    at_us: int
    tenant: str = ""
    project: str = ""
    cause: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def noun(self) -> str:
        """`job` of `job.submitted`."""
        return self.type.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Event(EventDraft):
    """An event with its number. Numbers grow in the order of commits, without gaps a reader could fall into."""

    seq: int = 0


def numbered(draft: EventDraft, seq: int) -> Event:
    return Event(
        type=draft.type,
        subject=draft.subject,
        actor=draft.actor,
        at_us=draft.at_us,
        tenant=draft.tenant,
        project=draft.project,
        cause=draft.cause,
        facts=draft.facts,
        seq=seq,
    )


CLOUD = "xingliu"
