"""Checks of the cluster around: clocks, images of power Jobs, nodes outside all groups, pods that are never drained."""

from collections.abc import Iterable

from hexa.app.commands.doctor.autoscaler import flags_of
from hexa.app.commands.doctor.sight import Sight
from hexa.domain.names import ACTION_LABEL, LEASE_NAMESPACE
from hexa.domain.people.doctor import site
from hexa.domain.people.doctor.autoscaler import skips_of
from hexa.domain.people.doctor.finding import Finding, unseen
from hexa.domain.pods.undrainable import Skips
from hexa.domain.resources.cluster import WHO_AM_I
from hexa.domain.resources.core import BUDGETS, LEASES, NODES, PODS
from hexa.ports.kube import Selector


async def check_clocks(sight: Sight) -> Iterable[Finding]:
    """This machine, the API server and the nodes agree on the time."""
    before = sight.now()
    answer = await sight.kube.create(WHO_AM_I, {"metadata": {}})  # it is answered with the server's time
    after = sight.now()
    server = answer.metadata.creation_timestamp
    if server is None:
        return [unseen("clock of the API server", "it does not say its time", "compare by hand: date, on both")]
    found = list(site.judge_clock(before=before, server=server, after=after))
    leases = await sight.good(LEASES, Selector(namespace=LEASE_NAMESPACE))
    by_name = {lease.metadata.name: lease for lease in leases}
    late = sight.now() - after  # the Leases are so much younger than the server's answer
    return [*found, *site.judge_leases(await sight.good(NODES), by_name, server=server + late)]


async def check_images(sight: Sight) -> Iterable[Finding]:
    """Images of power Jobs can be had."""
    return site.judge_images(await sight.good(PODS, Selector(labels=ACTION_LABEL)))


async def check_elsewhere(sight: Sight) -> Iterable[Finding]:
    """There is a node that hexa, Cluster Autoscaler and power Jobs can run on."""
    return site.judge_elsewhere(await sight.good(NODES), await sight.members())


async def check_undrainable(sight: Sight) -> Iterable[Finding]:
    """Pods on machines that Cluster Autoscaler never gives up because of them."""
    pods, budgets = await sight.good(PODS), await sight.good(BUDGETS)
    skips = next((skips_of(flags_of(pod)) for pod in await sight.autoscalers()), Skips())
    return site.judge_undrainable(pods, budgets, await sight.members(), skips, now=sight.now())
