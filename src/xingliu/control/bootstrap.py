"""One default of everything, so that a cloud works before anyone configured it."""

from xingliu.control.actors import key_of
from xingliu.control.nodes import stepped_event
from xingliu.control.ports import Machine, Settings, Store, Unit
from xingliu.control.projects import new_project
from xingliu.control.world import SETTINGS
from xingliu.fleet.layout import lay_out_whole
from xingliu.fleet.model import DEFAULT_QUEUE, CloudSettings, Queue
from xingliu.kernel.clock import Clock
from xingliu.kernel.events import CLOUD, EventDraft
from xingliu.kernel.ids import ProjectId, TenantId, UserId
from xingliu.tenancy.model import Binding, Role, Tenant, User

ADMIN = UserId("admin")
DEFAULT_TENANT = TenantId("default")
DEFAULT_PROJECT = ProjectId("default/default")


def bootstrap(store: Store, clock: Clock, machine: Machine, *, admin_credential: str) -> None:
    """Fill an empty store with a tenant, a project, the admin, a queue and this machine, and let the credential in.

    The caller keeps `admin_credential` (`actors.new_credential`) before it calls, so that a death in between loses nothing:
    calling again with the same one changes nothing, and one that was revoked stays revoked. Raises BadCredentials where it
    has not the form of one.
    """
    now_us = clock.now_us()
    key = key_of(admin_credential, ADMIN, now_us)
    with store.write() as unit:
        if unit.users.get(ADMIN) is None:
            _fill(unit, machine, now_us)
        if unit.keys.get(key.id) is None:
            unit.keys.put(key)
            unit.events.append(EventDraft("key.created", key.id, CLOUD, now_us, facts={"user": ADMIN}))


def _fill(unit: Unit, machine: Machine, now_us: int) -> None:
    flavor, pool, node = lay_out_whole(machine.discover(now_us))
    unit.settings.put(Settings(SETTINGS, CloudSettings()))
    unit.flavors.put(flavor)
    unit.pools.put(pool)
    unit.nodes.put(node)
    unit.queues.put(Queue(DEFAULT_QUEUE))
    unit.tenants.put(Tenant(DEFAULT_TENANT, now_us))
    unit.projects.put(new_project(unit, DEFAULT_PROJECT, None, now_us))
    unit.users.put(User(ADMIN, None, (Binding(Role.ADMIN),), now_us))
    unit.events.append(
        EventDraft("flavor.created", flavor.name, CLOUD, now_us),
        EventDraft("pool.created", pool.name, CLOUD, now_us),
        stepped_event(unit, node, None, now_us=now_us, actor=CLOUD),
        EventDraft("queue.created", DEFAULT_QUEUE, CLOUD, now_us),
        EventDraft("tenant.created", DEFAULT_TENANT, CLOUD, now_us, tenant=DEFAULT_TENANT),
        EventDraft("project.created", DEFAULT_PROJECT, CLOUD, now_us, tenant=DEFAULT_TENANT, project=DEFAULT_PROJECT),
        EventDraft("user.created", ADMIN, CLOUD, now_us),
    )
