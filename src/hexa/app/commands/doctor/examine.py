"""All checks, a row each, and how they are run."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import trio
from msgspec import Struct

from hexa.app.commands.doctor import autoscaler, hexa, secrets, site
from hexa.app.commands.doctor.sight import Sight
from hexa.domain.errors import HexaError
from hexa.domain.people.doctor.finding import Finding, sorted_findings, unseen


class Check(Struct, frozen=True):
    """One question about the cluster."""

    name: str
    about: str
    """What is looked at, in a few words."""
    look: Callable[[Sight], Awaitable[Iterable[Finding]]]


CHECKS: Final = (
    Check("rights", "what hexa may do", hexa.check_rights),
    Check("crds", "CustomResourceDefinitions", hexa.check_definitions),
    Check("hexa", "hexa's pod", hexa.check_pod),
    Check("objects", "Groups and Nodes", hexa.check_objects),
    Check("autoscaler", "Cluster Autoscaler and its flags", autoscaler.check_flags),
    Check("connection", "its way to hexa, and certificates", autoscaler.check_connection),
    Check("calls", "whether it calls hexa", autoscaler.check_calls),
    Check("clocks", "clocks", site.check_clocks),
    Check("secrets", "Secrets of power Jobs and sensors", secrets.check_secrets),
    Check("images", "images of power Jobs", site.check_images),
    Check("elsewhere", "nodes outside all groups", site.check_elsewhere),
    Check("undrainable", "pods that keep machines on", site.check_undrainable),
)


class Report(Struct, frozen=True):
    """What the doctor says."""

    checks: tuple[str, ...]
    findings: tuple[Finding, ...]


async def examine(sight: Sight, checks: Iterable[Check] = CHECKS) -> Report:
    """Run every check; one that cannot see says so. Where none sees anything, the first reason is raised."""
    rows = tuple(checks)
    found: dict[str, list[Finding]] = {}
    blind: list[HexaError] = []

    async def one(check: Check) -> None:
        try:
            found[check.name] = list(await check.look(sight))
        except HexaError as error:
            found[check.name] = [unseen(check.about, str(error), "run it as somebody who may look at that")]
            blind.append(error)

    await sight.reached()
    async with trio.open_nursery() as nursery:
        for check in rows:
            nursery.start_soon(one, check)
    if rows and len(blind) == len(rows):
        raise blind[0]
    pairs = [(check.name, finding) for check in rows for finding in found[check.name]]
    return Report(tuple(check.name for check in rows), tuple(sorted_findings(pairs)))
