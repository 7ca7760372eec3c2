"""The operator file: what it would change, and changing it, whole, in one transaction."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from xingliu.control.forecasts import Forecasts
from xingliu.control.nodes import record_step, stepped_event
from xingliu.control.ports import Machine, Settings, Store, Unit
from xingliu.control.previews import as_applied
from xingliu.control.scope import Scope
from xingliu.control.world import SETTINGS
from xingliu.fleet.changes import Change, Fleet, compare, settings_after
from xingliu.fleet.cloudfile import cloud_document, read_cloud
from xingliu.fleet.declared import CloudFile, FlavorSpec, PoolSpec
from xingliu.fleet.errors import NodesBusy, QueueInUse
from xingliu.fleet.layout import lay_out
from xingliu.fleet.model import CloudSettings, Node, NodeState
from xingliu.forecast.effects import Effects
from xingliu.kernel.clock import Clock
from xingliu.kernel.documents import Document
from xingliu.kernel.events import EventDraft
from xingliu.kernel.ids import FlavorName, NodeName, PoolName, QueueName
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb
from xingliu.workloads.model import LIVE

_NAMED_MAX = 10


@dataclass(frozen=True, slots=True)
class Applied:
    """What differs, whether it was applied (False for a preview), and what a preview says of those who run and wait."""

    changes: tuple[Change, ...]
    applied: bool
    effects: Effects | None = None


class Cloud:
    """`wake` asks for a cycle soon."""

    def __init__(self, store: Store, forecasts: Forecasts, clock: Clock, machine: Machine, *, wake: Callable[[], None]) -> None:
        self._store, self._forecasts, self._clock, self._machine = store, forecasts, clock, machine
        self._wake = wake

    def apply(self, actor: Actor, document: Mapping[str, object], *, preview: bool) -> Applied:
        """Make the cloud what the file says, or only tell what that would change.

        Raises Forbidden, InvalidDocument, MachineTooSmall, TooFewGpus, OneWholeMachine, NodesBusy, QueueInUse.
        """
        with self._store.read() as unit:
            Scope(unit, actor).require(Verb.CLOUD_APPLY)
        cloud = read_cloud(Document.of(document, "the operator file"))
        nodes = lay_out(cloud, self._machine.discover(self._clock.now_us()))
        with self._store.read() if preview else self._store.write() as unit:
            fleet = _fleet(unit)
            changes = compare(fleet, cloud, nodes)
            _check_unused(unit, changes)
            after = settings_after(fleet, cloud, document)
            if not preview and after != fleet.settings:
                unit.settings.put(Settings(SETTINGS, after))
            if not preview and (changes or after != fleet.settings):
                _Application(unit, actor, self._clock.now_us(), fleet, cloud, nodes).record(changes)
        if changes and not preview:
            self._wake()
        if not (changes and preview):
            return Applied(changes, applied=not preview)
        found = self._forecasts.effects(lambda now: as_applied(now, fleet, cloud, nodes, after))
        return Applied(changes, applied=False, effects=found)

    def document(self, actor: Actor) -> Mapping[str, object]:
        """The file in force; before the first was applied, the one that would say what is there. Raises Forbidden."""
        with self._store.read() as unit:
            Scope(unit, actor).require(Verb.CLOUD_APPLY)
            return settings_of(unit).document or cloud_document(_as_file(_fleet(unit)))

    def settings(self) -> CloudSettings:
        """Currency and default queue, which everyone may know."""
        with self._store.read() as unit:
            return settings_of(unit)


def settings_of(unit: Unit) -> CloudSettings:
    """The settings in force."""
    kept = unit.settings.get(SETTINGS)
    return CloudSettings() if kept is None else kept.value


class _Application:
    """The writing of one list of changes."""

    def __init__(self, unit: Unit, actor: Actor, now_us: int, fleet: Fleet, cloud: CloudFile, nodes: Iterable[Node]) -> None:
        self._unit, self._actor, self._now_us = unit, actor, now_us
        self._fleet = fleet
        self._flavors = {spec.name: spec.flavor for spec in cloud.flavors}
        self._pools = {spec.name: spec.pool for spec in cloud.pools}
        self._queues = {queue.name: queue for queue in cloud.queues}
        self._nodes = {node.name: node for node in nodes}

    def record(self, changes: Iterable[Change]) -> None:
        """Write each change with its event, in order, and one event for the whole."""
        sentences = []
        for change in changes:
            sentences.append(change.sentence)
            if change.change in ("delete", "retire"):
                self._remove(change)
            else:
                self._put(change)
            if change.noun not in ("node", "cloud"):
                self._tell(
                    f"{change.noun}.{change.change}d",
                    change.name,
                    change.sentence,
                    {"before": change.before, "after": change.after},
                )
        self._tell("cloud.applied", SETTINGS, "", {"changes": sentences})

    def _tell(self, type_: str, subject: str, cause: str, facts: Mapping[str, object]) -> None:
        self._unit.events.append(EventDraft(type_, subject, self._actor.user, self._now_us, cause=cause, facts=facts))

    def _put(self, change: Change) -> None:
        if change.noun == "flavor":
            self._unit.flavors.put(self._flavors[FlavorName(change.name)])
        elif change.noun == "pool":
            self._unit.pools.put(self._pools[PoolName(change.name)])
        elif change.noun == "queue":
            self._put_queue(QueueName(change.name))
        elif change.noun == "node":
            self._put_node(NodeName(change.name))

    def _put_queue(self, name: QueueName) -> None:
        before, after = self._fleet.queues.get(name), self._queues[name]
        if before is not None:
            after = replace(after, held=before.held, generation=before.generation + 1)
        self._unit.queues.put(after)

    def _put_node(self, name: NodeName) -> None:
        """A new node and one that was retired join; one that is in the cloud keeps its state."""
        before, after = self._fleet.nodes.get(name), self._nodes[name]
        actor = self._actor.user
        if before is None:
            after = replace(after, since_us=self._now_us, actor=actor, reason="it is in the operator file")
        elif before.state is NodeState.RETIRED:
            after = replace(
                after, since_us=self._now_us, actor=actor, reason="put back into the cloud", generation=before.generation + 1
            )
        else:
            after = replace(
                before,
                pool=after.pool,
                flavor=after.flavor,
                capacity=after.capacity,
                devices=after.devices,
                topology=after.topology,
                emulated=after.emulated,
                facts=after.facts,
                generation=before.generation + 1,
            )
        self._unit.nodes.put(after)
        state = before.state if before else None
        self._unit.events.append(stepped_event(self._unit, after, state, now_us=self._now_us, actor=actor))

    def _remove(self, change: Change) -> None:
        if change.noun == "flavor":
            self._unit.flavors.delete(FlavorName(change.name))
        elif change.noun == "pool":
            self._unit.pools.delete(PoolName(change.name))
        elif change.noun == "queue":
            self._remove_queue(QueueName(change.name))
        else:
            self._retire(self._fleet.nodes[NodeName(change.name)])

    def _remove_queue(self, name: QueueName) -> None:
        """With what is remembered of it: another of its name begins anew."""
        for used in self._unit.fair_uses.find({"queue": name}):
            self._unit.fair_uses.delete(used.key)
        self._unit.queues.delete(name)

    def _retire(self, node: Node) -> None:
        """A node that drains and runs nothing is drained first: that is the way out of it."""
        reason = "it is no longer in the operator file"
        states = (NodeState.DRAINED, NodeState.RETIRED) if node.state is NodeState.DRAINING else (NodeState.RETIRED,)
        for state in states:
            node = record_step(self._unit, node, state, now_us=self._now_us, actor=self._actor.user, reason=reason)


def _fleet(unit: Unit) -> Fleet:
    settings = settings_of(unit)
    interpreters = settings.document.get("interpreters")
    return Fleet(
        settings=settings,
        flavors={flavor.name: flavor for flavor in unit.flavors.find()},
        pools={pool.name: pool for pool in unit.pools.find()},
        queues={queue.name: queue for queue in unit.queues.find()},
        nodes={node.name: node for node in unit.nodes.find()},
        interpreters=interpreters if isinstance(interpreters, Mapping) else {},
    )


def _as_file(fleet: Fleet) -> CloudFile:
    """What is there before any file was applied: whole machines in pools of one flavor."""
    pools = tuple(
        PoolSpec(pool.name, pool.flavor, tuple(node.name for node in fleet.nodes.values() if node.pool == pool.name))
        for pool in fleet.pools.values()
    )
    flavors = tuple(FlavorSpec(flavor) for flavor in fleet.flavors.values())
    return CloudFile(fleet.settings, flavors, pools, tuple(fleet.queues.values()))


def _check_unused(unit: Unit, changes: Iterable[Change]) -> None:
    """Nothing that jobs run on is taken from under them, no queue that is used. Raises NodesBusy, QueueInUse."""
    busy: dict[str, set[str]] = {}
    for change in changes:
        if change.noun == "node" and change.before is not None and set(change.before) != {"topology"}:
            leases = unit.leases.find({"node": change.name, "released_us": None})
            if leases:
                busy[change.name] = {lease.job for lease in leases}
        elif change.noun == "queue":
            _check_queue(unit, change.name if change.after is None else str(change.after.get("parent") or ""))
    if busy:
        raise NodesBusy(_named(busy), _named(set[str]().union(*busy.values())))


def _check_queue(unit: Unit, name: str) -> None:
    """It may go, or be no place for jobs any more: nothing uses it. Raises QueueInUse."""
    jobs = unit.jobs.find({"queue": name, "state": LIVE}, limit=_NAMED_MAX + 1)
    projects = unit.projects.find({"queue": name}, limit=_NAMED_MAX + 1)
    if jobs or projects:
        raise QueueInUse(name, _named([*(job.id for job in jobs), *(f"project {project.id}" for project in projects)]))


def _named(names: Iterable[str]) -> str:
    """At most ten of them."""
    ordered = sorted(names)
    return ", ".join(ordered[:_NAMED_MAX]) + (", ..." if len(ordered) > _NAMED_MAX else "")
