"""The object graph of one embedded cloud."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from threading import Thread

from xingliu import __version__
from xingliu.adapters.blobs import FileBlobs
from xingliu.adapters.host import SystemClock, SystemIds
from xingliu.adapters.local.isolation import no_isolation
from xingliu.adapters.local.parts import open_local
from xingliu.adapters.mail import SmtpMailer
from xingliu.adapters.postman import WebhookPostman
from xingliu.adapters.sealer import FileSealer
from xingliu.adapters.sql.holding import hold
from xingliu.adapters.sql.store import open_store
from xingliu.compose.client_file import keep_client_file
from xingliu.compose.settings import UpSettings
from xingliu.control.bootstrap import bootstrap
from xingliu.control.forecasts import Forecasts
from xingliu.control.health import Health
from xingliu.control.launches import Launches
from xingliu.control.loop import Loop
from xingliu.control.notifications import Mails, Notifications, Posts
from xingliu.control.ports import Launcher, Store
from xingliu.control.scheduling import Scheduling
from xingliu.control.services import About, Ports, Services, services_over
from xingliu.control.world import World


class Cloud:
    """What runs inside one control plane process."""

    def __init__(
        self,
        held: AbstractContextManager[object],
        store: Store,
        launcher: Launcher,
        services: Services,
        loop: Loop,
        forecasts: Forecasts,
        notifications: Sequence[Notifications],
    ) -> None:
        self.services = services
        self._held, self._store, self._launcher = held, store, launcher
        self._loop = loop
        self._others: tuple[Forecasts | Notifications, ...] = (forecasts, *notifications)

    def start(self) -> None:
        """Turn the cycle, look ahead and deliver notifications, each channel in a thread of its own."""
        self._loop.start()
        for other in self._others:
            other.start()

    def close(self) -> None:
        """Stop deciding; what runs goes on."""
        self._loop.stop()
        for other in self._others:
            other.stop()
        self._launcher.close()
        self._store.close()
        self._held.__exit__(None, None, None)


def build(settings: UpSettings, url: str, *, on_lost: Callable[[], None]) -> Cloud:
    """Open the store and wire everything to it. `on_lost` is called when another control plane has taken over.

    Raises StoreInUse, StoreTooNew, StoreUnavailable, BadKeyFile.
    """
    held = hold(settings.url_of_store)
    store = open_store(settings.url_of_store)
    store.seize(f"process {os.getpid()} on {settings.home}")
    clock, ids = SystemClock(_last_instant_us(store)), SystemIds()
    local = open_local(settings.home, clock, isolation=None if settings.sandbox else no_isolation())
    Thread(target=local.launcher.warm_up, name="warm-up", daemon=True).start()
    bootstrap(store, clock, local.machine, admin_credential=keep_client_file(settings, ids, url))
    world, sealer, blobs = World(store), FileSealer(settings.secret_key_file), FileBlobs(settings.home / "blobs")
    scheduling = Scheduling(store, world, local.launcher, Launches(store, world, local.launcher, sealer), clock)
    loop = Loop(scheduling, Health(store, world, local.launcher, clock), clock, on_lost=on_lost)
    forecasts = Forecasts(store, world, clock)
    local.launcher.subscribe(loop.wake)
    services = services_over(
        Ports(store, clock, ids, sealer, local.machine, blobs, local.files, local.shells),
        About(__version__, local.isolation.multi_tenant),
        world=world,
        scheduling=scheduling,
        forecasts=forecasts,
        wake=loop.wake,
        check_space=blobs.check_space,
    )
    loop.begin_with(services.schedules.run_due)
    channels = (Posts(WebhookPostman()), Mails(store, SmtpMailer()))
    notifications = [Notifications(store, channel, clock) for channel in channels]
    return Cloud(held, store, local.launcher, services, loop, forecasts, notifications)


def _last_instant_us(store: Store) -> int:
    """The latest instant the log knows; 0 in an empty store."""
    with store.read() as unit:
        newest = unit.events.find(limit=1, newest_first=True)
    return newest[0].at_us if newest else 0
