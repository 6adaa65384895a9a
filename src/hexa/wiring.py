"""From a configuration to a running agent: the only module that names adapters (hexa.testing may name memory).

Lifetimes nest: API client, journal, Job runner, core, gRPC server. What ends first was opened last.
"""

import functools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from hexa.adapters.externalgrpc.adapter import check_server, run_health, run_server
from hexa.adapters.externalgrpc.config import Tls
from hexa.adapters.kube_http.adapter import open_kube, secrets_of
from hexa.adapters.kube_http.config import Cluster, Tuning, load
from hexa.adapters.kube_jobs.adapter import load_models, open_jobs
from hexa.adapters.kube_jobs.health_checks import open_checks
from hexa.adapters.kube_journal.adapter import open_journal
from hexa.adapters.kube_journal.config import Logs
from hexa.adapters.nut.adapter import NutUps
from hexa.adapters.power.context import Context
from hexa.adapters.power.gauge import DriverGauge
from hexa.adapters.system.clock import SystemClock
from hexa.adapters.system.stalls import watch_stalls
from hexa.app.certificates import Certificates
from hexa.app.core import Core, Ports, open_core
from hexa.app.supply import Fed
from hexa.app.tariffs import Tariffs
from hexa.config import Config
from hexa.domain.resources.power_spec import PowerSpec
from hexa.ports.certificates import Issuer
from hexa.ports.clock import Clock
from hexa.ports.kube import Kube
from hexa.ports.power import Power
from hexa.settings import TlsSettings, UpsSettings
from hexa.tariffs import keep_tariffs, read_tariffs

ANSWER: Final = 10.0
"""Seconds that a BMC, a PDU or a plug may take to answer the agent."""


class Agent(Struct, frozen=True):
    """A running agent."""

    core: Core
    address: str
    """Where the gRPC service listens, the port that was chosen included."""
    http: str = ""
    """The same for HTTP; empty: it is off."""


async def run_agent(config: Config, *, task_status: trio.TaskStatus[Agent] = trio.TASK_STATUS_IGNORED) -> None:
    """Run until cancelled; started once the gRPC service answers from a complete snapshot."""
    async with open_agent(config) as agent:
        task_status.started(agent)
        await trio.sleep_forever()


@asynccontextmanager
async def open_agent(config: Config) -> AsyncIterator[Agent]:
    """A running agent, ended with the block. Raises `Refused` or `Unavailable` with a text for people."""
    clock = SystemClock()
    born = clock.now()
    ready = trio.Event()
    cluster = load(config.kubeconfig, context=config.context, environment=os.environ)
    grpc, tariffs, certificates = config.grpc, Tariffs(), Certificates()
    await check_server(address=grpc.address, insecure=grpc.insecure, tls=_tls(grpc.tls))
    metrics = None
    if config.http.address:
        from hexa.wiring_http import check_http, make_metrics

        await check_http(config.http)
        metrics = make_metrics(tariffs=tariffs, certificates=certificates)
    async with (
        open_kube(cluster, clock=clock, tuning=_tuning(config)) as kube,
        open_journal(kube, clock=clock, logs=Logs(config.log.format, config.log.level)) as journal,
        read_tariffs(tariffs, config.tariffs, kube, clock=clock, journal=journal) as files,
        open_jobs(kube) as jobs,
        open_checks(kube) as checks,
        open_health(config, ready.is_set),
        open_core(
            Ports(
                kube=metrics.watched(kube) if metrics is not None else kube,
                jobs=jobs,
                clock=clock,
                journal=journal,
                gauge=DriverGauge(_sensor, secrets_of(kube), patience=ANSWER, clock=clock),
                image=config.jobs.image,
                checks=checks,
                fed=_fed(config.ups),
            ),
            namespaces=config.namespaces,
            conventions=config.conventions,
            tariffs=tariffs,
            eta=config.eta,
            kube_conditions=config.kube_conditions,
        ) as core,
        trio.open_nursery() as nursery,
    ):

        def stood_still(by: timedelta) -> None:
            journal.log(
                "hexa stood still: what was not heard meanwhile is no silence", seconds=round(by.total_seconds())
            )
            core.store.clock_set(by)  # as after a leap of the clock: deadlines stood still as well

        nursery.start_soon(watch_stalls, stood_still)

        async def serve(*, task_status: trio.TaskStatus[str]) -> None:
            await run_server(
                core.cloud,
                address=grpc.address,
                insecure=grpc.insecure,
                tls=_tls(grpc.tls),
                calls=calls,
                on_certificate=certificates.loaded("grpc"),
                task_status=task_status,
            )

        calls = metrics.calls if metrics is not None else None
        if metrics is not None:
            metrics.follow(core)
        if config.tariffs:
            nursery.start_soon(functools.partial(keep_tariffs, files, clock=clock, journal=journal))
            nursery.start_soon(files.maps.follow, kube)
        if config.notify:
            from hexa.wiring_notify import count_calls, start_notifier  # and its clients

            calls = calls or count_calls()
            told = functools.partial(start_notifier, config.notify, core, nursery, called=calls.ago)
            notifier = await told(clock=clock, journal=journal, born=born)
            if notifier is not None:
                certificates.subscribe(notifier.certificate)
            if notifier is not None and metrics is not None:
                metrics.notified(notifier.counts)
        bound = await nursery.start(serve)
        http = ""
        if config.http.address:
            from hexa.wiring_http import serve_http

            of_core = functools.partial(serve_http, core=core, kube=kube, journal=journal, tariffs=tariffs)
            known = functools.partial(of_core, ready=ready.is_set, metrics=metrics, certificates=certificates)
            http = await nursery.start(known, config)
            journal.log("serving HTTP", address=http, tls=bool(config.http.tls.certificate))
        ready.set()
        journal.log("serving", address=bound, server=cluster.server, cluster=cluster.origin)
        nursery.start_soon(load_models)  # half a second that must not stand before serving
        yield Agent(core, bound, http)
        nursery.cancel_scope.cancel()


PATIENCE: Final = Tuning(connect=5.0, answer=10.0)
"""A person at a terminal waits less long than the agent for an API server that does not answer."""


@asynccontextmanager
async def open_cluster(*, kubeconfig: str = "", context: str = "") -> AsyncIterator[tuple[Kube, Cluster]]:
    """The API server that the commands for people talk to. Raises `Refused` where none can be found."""
    cluster = load(kubeconfig, context=context, environment=os.environ)
    async with open_kube(cluster, clock=SystemClock(), tuning=PATIENCE) as kube:
        yield kube, cluster


@asynccontextmanager
async def _sensor(spec: PowerSpec, context: Context) -> AsyncIterator[Power | None]:
    """What reads the power of a machine with one driver. Drivers are loaded by the first machine that has one."""
    from hexa.wiring_power import open_ways

    async with open_ways(spec, context) as ways:
        yield ways.sense


def system_clock() -> Clock:
    """This computer's clock."""
    return SystemClock()


def open_issuer() -> Issuer:
    """What makes certificates. Loads its library, which the agent does without."""
    from hexa.adapters.x509.adapter import X509Issuer

    return X509Issuer()


@asynccontextmanager
async def open_health(config: Config, ready: Callable[[], bool]) -> AsyncIterator[None]:
    """Probes are answered from here on, if an address is set: alive at once, ready when `ready` says so."""
    async with trio.open_nursery() as nursery:
        if config.grpc.health_address:
            await nursery.start(functools.partial(run_health, ready, address=config.grpc.health_address))
        yield
        nursery.cancel_scope.cancel()


def _fed(ups: UpsSettings) -> Fed | None:
    return Fed(NutUps(ups.address, ups.name), ups.rules, ups.interval) if ups.address else None


def _tls(tls: TlsSettings) -> Tls | None:
    if not tls.certificate:
        return None
    return Tls(certificate=Path(tls.certificate), key=Path(tls.key), client_ca=Path(tls.client_ca), clients=tls.clients)


def _tuning(config: Config) -> Tuning:
    kube = config.kube
    return Tuning(connect=kube.connect_timeout, answer=kube.answer_timeout, watch=kube.watch_period)
