"""The namespaces that one service serves, each with all that belongs to it and to no other."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec

from periscope.access import Access, Identity
from periscope.access.oidc import OidcLogin
from periscope.access.oidc_settings import oidc_of
from periscope.api.background import Background
from periscope.api.receiver_settings import receivers_of
from periscope.api.single_flight import SingleFlight
from periscope.archive import Archive
from periscope.config import read_config
from periscope.errors import SettingInvalid, StoreUnavailable, Unauthenticated
from periscope.hub import EventHub, follow
from periscope.index import IndexState as States
from periscope.index import ReadIndex
from periscope.metrics import IndexState, Metrics
from periscope.periscope import Periscope
from periscope.policy import Policy
from periscope.polling import Feeds
from periscope.polling.deadletters import DeadLetters
from periscope.rows import Rows
from periscope.settings import Settings
from periscope.spliced import Splicer
from periscope.timeline import Sampler
from periscope.workers import Supervisor, Worker, WorkerStatus

Jobs = Callable[[Periscope, Archive], list[Worker[Any]]]
"""Makes the workers of a database."""

PING_S = 1.0

log = logging.getLogger("periscope.api")


class Tenant:
    """One namespace: its open database, its keys and accounts, its archive."""

    def __init__(self, periscope: Periscope, *, tells_all: bool = True) -> None:
        self.periscope = periscope
        self._tells_all = tells_all
        self.access: Access
        self.hub: EventHub
        self.index: ReadIndex | None = None
        self.metrics: Metrics
        self.background = Background()
        self.flights = SingleFlight(self.background)
        self.one_scan = asyncio.Lock()
        self.supervisor: Supervisor | None = None
        self.sampling: Supervisor
        self._stack = AsyncExitStack()
        self._archive: Archive | None = None
        self._opening = asyncio.Lock()
        self._splicer = (Policy(), Splicer(Policy()))
        self.rows = Rows()

    @property
    def name(self) -> str:
        """The namespace."""
        return self.periscope.settings.namespace

    @property
    def splicer(self) -> Splicer:
        """What makes documents of records under the policy in force."""
        policy = self.periscope.functions.rules.policy
        if self._splicer[0] is not policy:
            self._splicer = (policy, Splicer(policy))
        return self._splicer[1]

    async def archive(self) -> Archive:
        """The archive of this database, opened when it is first asked for.

        Raises:
            ArchiveError: it cannot be opened.
        """
        async with self._opening:
            if self._archive is None:
                archive = await self.periscope.open_archive()
                self._stack.push_async_callback(archive.close)
                self._archive = archive
            return self._archive

    async def start(self, jobs: Jobs | None) -> None:
        """Open the database and what stands on it; `jobs` are done as long as it is open."""
        await self._stack.enter_async_context(self.periscope)
        self.access = Access(self.periscope)
        await self.access.start()
        self._stack.push_async_callback(self.access.close)
        self._stack.push_async_callback(self.background.close)
        self.hub = EventHub(self.periscope)
        await self.hub.start()
        self._stack.push_async_callback(self.hub.close)
        await self._index()
        self.metrics = self._watched()
        # Whoever runs the workers elsewhere looks at a dashboard here all the same.
        sampling = Supervisor(Sampler(self.periscope))
        self.sampling = await self._stack.enter_async_context(sampling)
        if jobs is not None and self.periscope.settings.serve_workers == "on":
            supervisor = Supervisor(*jobs(self.periscope, await self.archive()))
            self.supervisor = await self._stack.enter_async_context(supervisor)

    async def _index(self) -> None:
        """Begin to build the read index, if there is to be one."""
        if self.periscope.settings.serve_index == "on":
            self.index = ReadIndex(self.periscope, follow=partial(follow, self.hub))
            await self.index.start()
            self._stack.push_async_callback(self.index.close)

    def _watched(self) -> Metrics:
        """What a program that watches may know of this tenant."""
        periscope = self.periscope
        letters = DeadLetters(periscope.settings.dead_letters_path)
        return Metrics(
            periscope,
            workers=self._workers,
            feeds=Feeds(periscope).get_feeds,
            letters=letters.sizes,
            index=self._index_state,
            streams=lambda: self.hub.subscribers - (self.index is not None),
            tells_all=self._tells_all,
        )

    def _workers(self) -> list[WorkerStatus]:
        found = [] if self.supervisor is None else self.supervisor.status()
        return [*found, *self.sampling.status()]

    def _index_state(self) -> IndexState | None:
        if self.index is None:
            return None
        status = self.index.status
        is_up = status.state in (States.READY, States.BEHIND)
        lag_s = None
        if is_up and status.as_of_ms is not None and status.state is States.BEHIND:
            lag_s = max(0.0, time.time() - status.as_of_ms / 1000)
        return IndexState(
            is_up, 0.0 if is_up and lag_s is None else lag_s, status.threats, status.bytes
        )

    async def close(self) -> None:
        """Give everything back, in the order opposite to that of the start. Idempotent."""
        await self._stack.aclose()


class SignOn(NamedTuple):
    """The OpenID provider, and the tenant whose people it vouches for."""

    login: OidcLogin
    tenant: Tenant


class Tenants:
    """All tenants of a service. A key or session belongs to one of them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        names = _names(settings)
        self.receivers = receivers_of(settings, set(names))
        if settings.namespace not in names:
            _warn_of_feeds(settings)
        own = settings.namespace if len(names) > 1 else names[0]
        self.all = [
            Tenant(Periscope(_settings_of(settings, name)), tells_all=name == own) for name in names
        ]
        self.streams = 0
        """Event streams that are open."""
        self._by_name = {tenant.name: tenant for tenant in self.all}
        self.sign_on = self._sign_on()

    async def start(self, jobs: Jobs | None = None) -> Self:
        """Open all of them; if one cannot be, none is. `jobs` makes the workers of each."""
        try:
            for tenant in self.all:
                await tenant.start(jobs)
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """Close all of them."""
        if self.sign_on is not None:
            await self.sign_on.login.close()
        for tenant in reversed(self.all):
            await tenant.close()

    def _sign_on(self) -> SignOn | None:
        settings, found = self.settings, oidc_of(self.settings)
        if found is None:
            return None
        tenant = self._by_name.get(settings.namespace)
        if tenant is None:
            raise SettingInvalid(
                f"[oidc] is about the namespace {settings.namespace}, which is not served"
            )
        return SignOn(OidcLogin(found), tenant)

    async def ping(self) -> None:
        """Ask every store whether it is there, for PING_S at most: a probe waits no longer.

        Raises:
            StoreError: one is not there, is silent, or cannot be used.
        """
        try:
            async with asyncio.timeout(PING_S):
                await asyncio.gather(*(tenant.periscope.ping() for tenant in self.all))
        except TimeoutError:
            raise StoreUnavailable(f"no answer within {PING_S:g} s") from None

    def observe(self, caller: Any, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that ended: for the tenant of its caller, or for the only one."""
        if caller is None and len(self.all) > 1:
            return
        tenant = self.all[0] if caller is None else caller.tenant
        tenant.metrics.observe_request(route, method, status, seconds)

    def end_streams(self) -> None:
        """End every event stream; whoever followed goes on elsewhere with its last id."""
        for tenant in self.all:
            tenant.hub.dismiss()

    def named(self, name: str | None) -> Tenant | None:
        """The tenant of this name; without a name the only one there is."""
        if name is None:
            return self.all[0] if len(self.all) == 1 else None
        return self._by_name.get(name)

    async def identify_key(self, secret: str) -> tuple[Tenant, Identity]:
        """Whose key this is.

        Raises:
            Unauthenticated: nobody's here, or no longer.
        """
        return await self._identify(lambda access: access.identify_key(secret))

    async def identify_session(self, token: str) -> tuple[Tenant, Identity]:
        """Whose session this is.

        Raises:
            Unauthenticated: nobody's here, or no longer.
        """
        return await self._identify(lambda access: access.identify_session(token))

    async def _identify(
        self, ask: Callable[[Access], Awaitable[Identity]]
    ) -> tuple[Tenant, Identity]:
        refusal: Unauthenticated | None = None
        for tenant in self.all:
            try:
                return tenant, await ask(tenant.access)
            except Unauthenticated as exc:
                refusal = exc
        assert refusal is not None  # noqa: S101 - there is at least one tenant
        raise refusal


def _settings_of(settings: Settings, name: str) -> Settings:
    """Return the settings of one tenant.

    The feeds of periscope.toml belong to the namespace that it is about, the setting `namespace`:
    another tenant neither runs nor sees them.
    """
    config = settings.config if name == settings.namespace else None
    return msgspec.structs.replace(settings, namespace=name, config=config)


def _warn_of_feeds(settings: Settings) -> None:
    if settings.config and read_config(Path(settings.config)).feeds:
        log.warning(
            "the feeds of %s are not run: they are of the namespace %s, which is not served",
            *(settings.config, settings.namespace),
        )


def _names(settings: Settings) -> list[str]:
    given: Any = [name.strip() for name in settings.serve_namespaces.split(",")]
    names = [name for name in dict.fromkeys(given) if name] or [settings.namespace]
    for name in names:
        try:
            msgspec.convert({"namespace": name}, Settings)
        except msgspec.ValidationError:
            raise SettingInvalid(f"setting serve_namespaces: {name!r} is no namespace") from None
    return names
