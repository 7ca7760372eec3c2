"""What holds for the plan of any cloud."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice, product
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from tests.pure.clouds import crowded, snapshots

from xingliu.fleet.model import NodeState, QueueOrder
from xingliu.kernel.ids import FlavorName, QueueName
from xingliu.kernel.resources import CPU, MEMORY, MILLI, Resources, gpu_of
from xingliu.scheduling.model import NodeView, Part, PendingJob, Plan, QueueView, Seat, Snapshot, StayPending
from xingliu.scheduling.policy import decide
from xingliu.scheduling.quota import charge
from xingliu.scheduling.room import Stock, amount_asked, suits
from xingliu.scheduling.running import Running
from xingliu.sim.turns import out_of_turn
from xingliu.workloads.model import PendingReason as Reason


def _left(snapshot: Snapshot, plan: Plan) -> dict[str, NodeView]:
    """The ready nodes after the plan."""
    nodes = {str(of.name): of for of in snapshot.nodes if of.state is NodeState.READY}
    for place in plan.placements:
        for seat in place.seats:
            of = nodes[seat.node]
            gpus = tuple(gpu for gpu in of.free_gpus if gpu not in seat.gpus)
            nodes[seat.node] = replace(of, free=of.free - seat.resources, free_gpus=gpus)
    return nodes


def _unclaimed(snapshot: Snapshot, plan: Plan, of: PendingJob) -> dict[str, NodeView]:
    """What is left but for what is kept for others."""
    nodes, parts = _left(snapshot, plan), {each.id: each.parts for each in snapshot.pending}
    for stay in plan.decisions:
        if isinstance(stay, StayPending) and stay.claim is not None and stay.job != of.id:
            each = (part for part in parts[stay.job] for _ in range(part.replicas))
            for name, asking in zip(stay.claim.nodes, each, strict=True):
                node, (gpus, cores, memory) = nodes[name], amount_asked(asking.request)
                part = Resources({CPU: min(cores, node.free[CPU]), MEMORY: min(memory, node.free[MEMORY])})
                nodes[name] = replace(node, free=node.free - part, free_gpus=node.free_gpus[gpus:])
    return nodes


def _in_use(snapshot: Snapshot, plan: Plan) -> dict[str, Resources]:
    queue_of = {of.id: of.queue for of in snapshot.pending}
    in_use = {str(of.name): of.in_use for of in snapshot.queues}
    for place in plan.placements:
        for seat in place.seats if place.job in queue_of else ():
            in_use[queue_of[place.job]] += seat.charge
    return in_use


def _fits(of: NodeView, *wanted: Part) -> bool:
    """Whether the node has room for a replica of each part at once."""
    asked = [amount_asked(part.request) for part in wanted]
    gpus, cores, memory = (sum(each[kind] for each in asked) for kind in (0, 1, 2))
    enough = of.free[CPU] >= cores and of.free[MEMORY] >= memory and len(of.free_gpus) >= gpus
    return enough and all(suits(part.request.gpu, of.gpu) for part in wanted)


def _flavors(want: Part, nodes: Iterable[NodeView]) -> set[str]:
    """Flavors with room for the whole part."""
    counts = Counter(str(of.flavor) for of in nodes if _fits(of, want))
    return {flavor for flavor, count in counts.items() if count >= want.replicas}


def _apart(want: PendingJob, nodes: Iterable[NodeView]) -> set[tuple[str, ...]]:
    """A flavor for each part, so that there is room for each, though not for all."""
    nodes = list(nodes)
    return set(product(*(sorted(_flavors(part, nodes)) for part in want.parts)))


def _layouts(want: PendingJob, nodes: Iterable[NodeView]) -> set[tuple[str, ...]]:
    """A flavor for each part, at most two, so that there is room for all at once."""
    nodes = list(nodes)
    return {flavors for flavors in _apart(want, nodes) if len(set(flavors)) == len(flavors) or _shared(want, flavors[0], nodes)}


def _shared(want: PendingJob, flavor: str, nodes: Iterable[NodeView]) -> bool:
    """Whether two parts fit on nodes of one flavor: some nodes take one of them, some either, some both."""
    one, two = want.parts
    of_flavor = [of for of in nodes if of.flavor == flavor]
    places = sum(2 if _fits(of, one, two) else _fits(of, one) or _fits(of, two) for of in of_flavor)
    return places >= one.replicas + two.replicas


def _fixed(snapshot: Snapshot, plan: Plan) -> dict[str, Resources]:
    """What is held by what must not be stopped, by queue."""
    fixed: dict[str, Resources] = defaultdict(Resources)
    for job in snapshot.running:
        if job.again is None or not job.again.preemptible:
            fixed[job.queue] += sum((seat.charge for seat in job.seats), Resources())
    stays = {of.id: of.queue for of in snapshot.pending if not of.preemptible}
    for place in plan.placements:
        if place.job in stays:
            fixed[stays[place.job]] += sum((seat.charge for seat in place.seats), Resources())
    return fixed


def _admits(
    snapshot: Snapshot,
    want: PendingJob,
    flavors: tuple[str, ...],
    in_use: dict[str, Resources],
    fixed: dict[str, Resources],
) -> bool:
    """Whether every queue on its path may hold it too; `in_use` and `fixed` by queue, without those below."""
    cost = _cost(want, flavors)
    views = {of.name: of for of in snapshot.queues}
    at = views.get(want.queue)
    while at is not None:
        total = sum((in_use[name] for name in views if _is_below(views, name, at.name)), Resources())
        most = None if at.quota is None or at.borrow_limit is None else at.quota + at.borrow_limit
        quota = at.quota or Resources()
        if at.quota is not None and not want.preemptible:
            unstoppable = sum((fixed[name] for name in views if _is_below(views, name, at.name)), Resources())
            if any(unstoppable[kind] + cost[kind] > quota[kind] for kind in cost if _rationed(kind, quota)):
                return False
        bound = {kind for kind in cost if _rationed(kind, quota)}
        if most is not None and any(total[kind] + cost[kind] > max(most[kind], quota[kind]) for kind in bound):
            return False
        at = views.get(at.parent) if at.parent is not None else None
    return True


def _cost(want: PendingJob, flavors: tuple[str, ...]) -> Resources:
    each = (
        charge(FlavorName(flavor), amount_asked(part.request)) * part.replicas
        for part, flavor in zip(want.parts, flavors, strict=True)
    )
    return sum(each, Resources())


def _rationed(kind: str, quota: Resources) -> bool:
    return kind == "cpu.cpu" or not kind.startswith("cpu.") or kind in quota


def _is_below(views: dict[QueueName, QueueView], name: QueueName | None, top: QueueName) -> bool:
    while name is not None and name != top:
        name = views[name].parent
    return name == top


def _alone(snapshot: Snapshot, *wanted: PendingJob, nodes: Iterable[NodeView] | None = None, unbound: bool = False) -> Plan:
    """What is decided when only these jobs wait."""
    queues = tuple(replace(of, quota=None) for of in snapshot.queues) if unbound else snapshot.queues
    return decide(replace(snapshot, pending=wanted, nodes=snapshot.nodes if nodes is None else tuple(nodes), queues=queues))


def _empty(of: NodeView) -> NodeView:
    gpus = of.capacity[gpu_of(of.flavor)] // MILLI
    return replace(of, free=of.capacity, free_gpus=tuple(range(gpus)), state=NodeState.READY)


@given(snapshots())
def test_every_pending_job_gets_exactly_one_decision(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    assert sorted(of.job for of in plan.decisions) == sorted(of.id for of in snapshot.pending)
    assert (plan.version, plan.cycle) == (snapshot.version, snapshot.cycle)


@given(snapshots(), st.randoms(use_true_random=False))
def test_the_order_of_input_does_not_matter(snapshot: Snapshot, dice: Random) -> None:
    unordered = ("nodes", "queues", "pending", "running")
    shuffled = {name: tuple(dice.sample(getattr(snapshot, name), len(getattr(snapshot, name)))) for name in unordered}
    other = replace(snapshot, **shuffled)
    assert decide(other) == decide(snapshot)


@given(snapshots(), st.randoms(use_true_random=False))
def test_what_was_found_of_nodes_before_some_changed_does_not_change_a_plan(snapshot: Snapshot, dice: Random) -> None:
    earlier = [dice.choice((of, _empty(of), replace(of, state=dice.choice(list(NodeState))))) for of in snapshot.nodes]
    seen = Stock.of(earlier)
    decide(replace(snapshot, nodes=seen))
    now = seen.changed([of for of in snapshot.nodes if of not in earlier])
    kept = replace(snapshot, nodes=now, running=Running.of(snapshot.running))
    assert now == Stock.of(snapshot.nodes)
    assert decide(kept) == decide(snapshot)
    assert decide(kept) == decide(snapshot), "what was placed is not taken from what is kept"


@given(snapshots())
def test_no_node_holds_more_than_it_has_and_no_gpu_is_given_twice(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    for of in _left(snapshot, plan).values():
        assert min((amount for _, amount in of.free.items()), default=0) >= 0, f"{of.name} holds more than it has"
    given_out = Counter((seat.node, gpu) for place in plan.placements for seat in place.seats for gpu in seat.gpus)
    assert all(count == 1 for count in given_out.values()), "a GPU was given twice"
    free = {of.name: set(of.free_gpus) for of in snapshot.nodes}
    assert all(gpu in free[name] for name, gpu in given_out), "a GPU was given that was not free"


@given(snapshots())
def test_a_gang_is_whole_each_part_on_distinct_nodes_of_one_flavor_with_ranks_in_order(snapshot: Snapshot) -> None:
    wanted = {of.id: of for of in snapshot.pending}
    for place in decide(snapshot).placements:
        of = wanted[place.job]
        assert not of.held
        assert [seat.rank for seat in place.seats] == list(range(sum(part.replicas for part in of.parts)))
        seats = iter(place.seats)
        for part in of.parts:
            mine = list(islice(seats, part.replicas))
            names = [seat.node for seat in mine]
            assert names == sorted(set(names)) and [seat.role_rank for seat in mine] == list(range(part.replicas))
            assert len({(seat.flavor, seat.role) for seat in mine}) == 1 and mine[0].role == part.role
            assert all(_is_what_it_asked_for(seat, part) for seat in mine)


def _is_what_it_asked_for(seat: Seat, of: Part) -> bool:
    gpus, cores, memory = amount_asked(of.request)
    same = seat.resources == Resources({CPU: cores, MEMORY: memory, gpu_of(seat.flavor): gpus * MILLI})
    return same and len(seat.gpus) == gpus


@given(snapshots())
def test_no_queue_on_any_path_comes_to_hold_more_than_its_quota_and_what_it_may_borrow(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    nothing = Plan(0, 0, ())
    views, models = {of.name: of for of in snapshot.queues}, {of.flavor: of.gpu for of in snapshot.nodes}
    for of in snapshot.queues:
        if of.quota is None:
            continue
        below = [name for name in views if _is_below(views, name, of.name)]
        for amounts, borrows in ((_in_use, True), (_fixed, False)):
            held, total = (sum((amounts(snapshot, made)[name] for name in below), Resources()) for made in (nothing, plan))
            for kind, amount in total.items():
                unrationed = kind.startswith("cpu.") and models.get(FlavorName(kind[4:])) and kind not in of.quota
                most = of.quota[kind] + (of.borrow_limit or Resources())[kind] * borrows
                bounded = not borrows or of.borrow_limit is not None
                assert amount <= max(held[kind], most) or unrationed or not bounded, f"{of.name} holds too much {kind}"


@given(snapshots())
def test_no_job_waits_that_would_fit_in_what_is_left(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    in_use, fixed = _in_use(snapshot, plan), _fixed(snapshot, plan)
    wanted = {of.id: of for of in snapshot.pending}
    for stay in plan.decisions:
        if isinstance(stay, StayPending) and stay.wait.reason not in {Reason.HELD, Reason.WAITING_FOR_QUOTA, *OF_ITS_OWN}:
            of = wanted[stay.job]
            if _behind_its_head(snapshot, plan, of):
                continue
            left = _unclaimed(snapshot, plan, of)
            idle = [flavors for flavors in _layouts(of, left.values()) if _admits(snapshot, of, flavors, in_use, fixed)]
            assert not idle, f"{of.id} could have started on {idle}"


@given(snapshots() | crowded())
def test_nobody_starts_before_one_of_its_queue_whose_turn_it_was(snapshot: Snapshot) -> None:
    assert not list(out_of_turn(decide(snapshot), snapshot.pending, snapshot.queues, ()))


@given(snapshots())
def test_who_may_not_start_whatever_is_free_changes_nothing_for_anybody_else(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    may_start = tuple(of for of in snapshot.pending if of.may_start(snapshot.now_us))
    without = decide(replace(snapshot, pending=may_start))
    named = {of.id for of in may_start}
    assert without.decisions == tuple(decision for decision in plan.decisions if decision.job in named)
    assert without.evictions == plan.evictions


@given(snapshots())
def test_every_reason_is_true(snapshot: Snapshot) -> None:
    plan = decide(snapshot)
    wanted = {of.id: of for of in snapshot.pending}
    for stay in plan.decisions:
        if isinstance(stay, StayPending):
            assert TRUE_WHEN[stay.wait.reason](snapshot, plan, wanted[stay.job]), stay


def _invalid(snapshot: Snapshot, plan: Plan, of: PendingJob) -> bool:
    return not _layouts(of, _whole(snapshot))


def _held(snapshot: Snapshot, plan: Plan, of: PendingJob) -> bool:
    return of.held or any(queue.held for queue in snapshot.queues if queue.name == of.queue)


def _whole(snapshot: Snapshot) -> list[NodeView]:
    return [_empty(of) for of in snapshot.nodes if of.state is not NodeState.RETIRED]


def _ready(snapshot: Snapshot) -> list[NodeView]:
    return [of for of in snapshot.nodes if of.state is NodeState.READY]


def _possible(snapshot: Snapshot, of: PendingJob) -> set[tuple[str, ...]]:
    """Where it could be if nothing else were there."""
    nothing: dict[str, Resources] = defaultdict(Resources)
    return {flavors for flavors in _layouts(of, _whole(snapshot)) if _admits(snapshot, of, flavors, nothing, nothing)}


def _exceeds(snapshot: Snapshot, plan: Plan, of: PendingJob) -> bool:
    return bool(_layouts(of, _whole(snapshot))) and not _possible(snapshot, of)


def _no_quota(snapshot: Snapshot, plan: Plan, of: PendingJob) -> bool:
    in_use, fixed = _in_use(snapshot, plan), _fixed(snapshot, plan)
    if plan.evictions:
        return True  # quota may be kept for those that others stop for
    possible = _possible(snapshot, of)
    return bool(possible) and not any(_admits(snapshot, of, flavors, in_use, fixed) for flavors in possible)


def _unhealthy(snapshot: Snapshot, plan: Plan, of: PendingJob) -> bool:
    """It would fit if all nodes were ready; or, of those that are, too few could ever take it."""
    possible, back = _possible(snapshot, of), [*_left(snapshot, plan).values(), *_out(snapshot)]
    lacking = possible - _layouts(of, map(_empty, _ready(snapshot)))
    return bool(_out(snapshot)) and bool(possible & _layouts(of, back) or lacking)


def _out(snapshot: Snapshot) -> list[NodeView]:
    return [
        replace(node, state=NodeState.READY) for node in snapshot.nodes if node.state not in (NodeState.READY, NodeState.RETIRED)
    ]


def _behind(snapshot: Snapshot, plan: Plan, of: PendingJob) -> bool:
    """It starts when nobody else waits; it does not when only jobs of higher priority do."""
    higher = [other for other in snapshot.pending if other.priority > of.priority]
    with_them = {place.job for place in _alone(snapshot, of, *higher).placements}
    return bool(_alone(snapshot, of).placements) and of.id not in with_them and bool(with_them)


def _no_room(snapshot: Snapshot, plan: Plan, of: PendingJob) -> bool:
    """The same ready nodes would take it if they were empty; what is out of service would not be enough if it were back."""
    back = _layouts(of, [*_left(snapshot, plan).values(), *_out(snapshot)])
    in_use, fixed = _in_use(snapshot, plan), _fixed(snapshot, plan)
    if not plan.evictions and any(_admits(snapshot, of, flavors, in_use, fixed) for flavors in back):
        return False
    return bool(_alone(snapshot, replace(of, held=False), nodes=map(_empty, _ready(snapshot)), unbound=True).placements)


def _reserved(snapshot: Snapshot, plan: Plan, of: PendingJob) -> bool:
    """Without what is kept for others each part of it would fit; or nothing may pass who waits before it."""
    if _behind_its_head(snapshot, plan, of):
        return True
    left, unclaimed = _left(snapshot, plan).values(), _unclaimed(snapshot, plan, of).values()
    return bool(_apart(of, left) - _apart(of, unclaimed))


def _behind_its_head(snapshot: Snapshot, plan: Plan, of: PendingJob) -> bool:
    """Nothing passes in its queue, and before it somebody waits who could start and is not held."""
    waits = {decision.job for decision in plan.decisions if isinstance(decision, StayPending)}
    before = [
        other
        for other in snapshot.pending
        if other.queue == of.queue and (-other.priority, other.submitted_us, other.id) < (-of.priority, of.submitted_us, of.id)
    ]
    waiting = [other for other in before if other.id in waits and not other.held and _possible(snapshot, other)]
    return _order(snapshot, of.queue) is QueueOrder.FIRST_COME and bool(waiting)


def _order(snapshot: Snapshot, name: QueueName) -> QueueOrder:
    views = {of.name: of for of in snapshot.queues}
    path = [views[name]]
    while path[-1].parent is not None:
        path.append(views[path[-1].parent])
    return QueueOrder.along(view.order for view in path)


def _makes_room(snapshot: Snapshot, plan: Plan, of: PendingJob) -> bool:
    """Somebody stops for it."""
    return any(evict.preemptor == of.id for evict in plan.evictions)


def _waits_for_others(snapshot: Snapshot, plan: Plan, of: PendingJob) -> bool:
    return bool(of.after) and all(after.met is None for after in of.after)


def _waits_in_vain(snapshot: Snapshot, plan: Plan, of: PendingJob) -> bool:
    return any(after.met is False for after in of.after)


def _too_early(snapshot: Snapshot, plan: Plan, of: PendingJob) -> bool:
    return not of.after and of.not_before_us is not None and of.not_before_us > snapshot.now_us


OF_ITS_OWN = {Reason.DEPENDENCY_WAITING, Reason.DEPENDENCY_FAILED, Reason.NOT_BEFORE}
TRUE_WHEN = {
    Reason.DEPENDENCY_WAITING: _waits_for_others,
    Reason.DEPENDENCY_FAILED: _waits_in_vain,
    Reason.NOT_BEFORE: _too_early,
    Reason.RESERVED_FOR_OTHERS: _reserved,
    Reason.PREEMPTION_IN_PROGRESS: _makes_room,
    Reason.INVALID_REQUEST: _invalid,
    Reason.HELD: _held,
    Reason.EXCEEDS_LIMIT: _exceeds,
    Reason.WAITING_FOR_QUOTA: _no_quota,
    Reason.NODES_UNHEALTHY: _unhealthy,
    Reason.BEHIND_HIGHER_PRIORITY: _behind,
    Reason.WAITING_FOR_CAPACITY: _no_room,
}


def test_every_reason_has_its_meaning_here() -> None:
    assert set(TRUE_WHEN) == set(Reason)
