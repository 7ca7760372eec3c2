"""What a simulated cloud is made of: its machine, its operator file, its tenants. All drawn from the seed."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from xingliu.control.actors import actor_of
from xingliu.control.bootstrap import ADMIN
from xingliu.control.ports import Machine
from xingliu.fleet.model import Node, NodeState, QueueOrder
from xingliu.kernel.ids import FlavorName, NodeName, PoolName, UserId
from xingliu.kernel.resources import CPU, MEMORY, Resources
from xingliu.sim.plane import Plane
from xingliu.tenancy.model import Actor, Binding, Role

GB = 10**9
TENANTS = ("acme", "zeta")
QUEUES = ("default", "research", "batch")
PARENT = "labs"
GPU = "H100"
FAIR_SHARES: tuple[dict[str, str], ...] = (
    {},
    {"half_life": "1m", "entry": "5s"},
    {"half_life": "2m", "entry": "1m", "reserve_after": "10s"},
)


class SimMachine(Machine):
    """A machine with room for any estate drawn here."""

    def discover(self, now_us: int) -> Node:
        return Node(
            name=NodeName("machine"),
            pool=PoolName("default"),
            flavor=FlavorName("cpu"),
            capacity=Resources({CPU: 256_000, MEMORY: 1024 * GB}),
            state=NodeState.JOINING,
            since_us=now_us,
        )


def draw_estate(dice: Random, orders: Random) -> dict[str, object]:
    """An operator file: one pool of cores, and mostly one with emulated GPUs; `orders` is for those of its queues."""
    flavors: list[object] = [{"name": "cpu", "price": "0.05/core-hour"}]
    pools: list[object] = [_pool("cores", "cpu", dice.randint(1, 4), dice.choice((2, 4)))]
    if dice.random() < 0.8:
        gpus = dice.choice((1, 2, 4))
        flavors.append({"name": "h100", "gpu": GPU, "emulated": True, "gpus_per_node": gpus, "price": "2.40/gpu-hour"})
        pools.append(_pool("gpus", "h100", dice.randint(1, 3), 4))
    estate: dict[str, object] = {"kind": "cloud", "flavors": flavors, "pools": pools, "default_queue": "default"}
    queues = with_orders(draw_queues(dice, gpus=has_gpus(estate)), orders)
    return {**estate, "queues": queues, "fair_share": orders.choice(FAIR_SHARES)}


def has_gpus(estate: dict[str, object]) -> bool:
    return GPU in str(estate["flavors"])


def draw_queues(dice: Random, *, gpus: bool) -> list[dict[str, object]]:
    """The queues, as a tree or side by side, with other bounds each time."""
    queues = [_draw_queue(dice, name, gpus=gpus) for name in QUEUES[1:]]
    if dice.random() < 0.3:
        return [{"name": QUEUES[0]}, *queues]
    above: dict[str, object] = {"name": PARENT, "children": queues}
    if dice.random() < 0.5:
        kinds = ("cpu", "h100") if gpus else ("cpu",)
        above["quota"] = {kind: sum(queue["quota"][kind] for queue in queues) + dice.choice((0, 2)) for kind in kinds}
        above["borrow_limit"] = dict.fromkeys(kinds, dice.choice((0, 4)))
    return [{"name": QUEUES[0]}, above]


def with_orders(queues: Sequence[Mapping[str, object]], dice: Random) -> list[dict[str, object]]:
    """The queues and those below them, each with an order, a weight and a shortest run of its own, or without."""
    found: list[dict[str, object]] = []
    for queue in queues:
        below = queue.get("children")
        inner = {"children": with_orders(below, dice)} if isinstance(below, list) else {}
        found.append({**queue, **_draw_ways(dice), **inner})
    return found


def _draw_ways(dice: Random) -> dict[str, object]:
    ways: dict[str, object] = {
        "order": dice.choice((None, *(order.value for order in QueueOrder))),
        "weight": dice.choice((None, 1, 3)),
        "min_runtime": dice.choice((None, None, "3s")),
    }
    return {key: value for key, value in ways.items() if value is not None}


def _draw_queue(dice: Random, name: str, *, gpus: bool) -> dict[str, Any]:
    def amounts(cores: tuple[int, ...], cards: tuple[int, ...]) -> dict[str, int]:
        return {"cpu": dice.choice(cores), **({"h100": dice.choice(cards)} if gpus else {})}

    queue: dict[str, Any] = {"name": name, "quota": amounts((1, 4, 8, 16), (0, 2, 4, 8))}
    for limit, chance in (("borrow_limit", 0.5), ("lend_limit", 0.3), ("user_limit", 0.2), ("project_limit", 0.2)):
        if dice.random() < chance:
            queue[limit] = amounts((0, 2, 8), (0, 1, 4))
    return queue


def _pool(name: str, flavor: str, count: int, cores: int) -> dict[str, object]:
    share = {"cpu": cores, "memory": "8GB"}
    return {"name": name, "flavor": flavor, "nodes": [f"{name}-{number}" for number in range(1, count + 1)], "share": share}


def admin(plane: Plane) -> Actor:
    with plane.store.read() as unit:
        user = unit.users.get(ADMIN)
        assert user is not None, "bootstrap makes one"
        return actor_of(user)


def settle_in(plane: Plane, estate: dict[str, object]) -> dict[UserId, Actor]:
    """Apply the estate and let the tenants in, each with one project and one member. The admin is among the actors."""
    boss = admin(plane)
    plane.cloud.apply(boss, estate, preview=False)
    actors = {boss.user: boss}
    for tenant, queue in zip(TENANTS, QUEUES[1:], strict=True):
        plane.tenants.create(boss, tenant)
        project = plane.projects.create(boss, tenant, "lab", queue=queue)
        user = plane.users.create(boss, "mia", tenant=tenant, bindings=(Binding(Role.MEMBER, project.id),))
        actors[user.id] = actor_of(user)
        plane.secrets.put(actors[user.id], project.id, "TOKEN", "hunter2")
    return actors
