"""What a user is told about itself and the cloud it speaks to."""

from dataclasses import dataclass

from xingliu.control.cloud import settings_of
from xingliu.control.errors import NoProjectChosen
from xingliu.control.ports import Store, Unit
from xingliu.control.scope import Scope
from xingliu.kernel.errors import Unknown
from xingliu.kernel.ids import QueueName
from xingliu.tenancy.model import Actor, Project


@dataclass(frozen=True, slots=True)
class Introduction:
    """Who asks, and what is used where a request names nothing. `default_project` None: each request has to name one."""

    actor: Actor
    default_project: Project | None
    default_queue: QueueName
    currency: str


class Whoami:
    def __init__(self, store: Store) -> None:
        self._store = store

    def introduce(self, actor: Actor) -> Introduction:
        """Who this is, to the cloud."""
        with self._store.read() as unit:
            project, settings = _default_project(unit, actor), settings_of(unit)
        queue = (project.queue if project else None) or settings.default_queue
        return Introduction(actor, project, queue, settings.currency)


def _default_project(unit: Unit, actor: Actor) -> Project | None:
    try:
        return Scope(unit, actor).project(None)
    except (NoProjectChosen, Unknown):
        return None
