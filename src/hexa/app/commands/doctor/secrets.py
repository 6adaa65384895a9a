"""Check of the Secrets that machines name, with the rights of whoever runs the doctor."""

from collections.abc import Iterable

from hexa.app.commands.doctor.sight import Sight
from hexa.domain.people.doctor.finding import Finding, error
from hexa.domain.resources.cluster import SECRETS
from hexa.domain.written.secrets_needed import lacking, needs


async def check_secrets(sight: Sight) -> Iterable[Finding]:
    """Every Secret that a power Job or a sensor needs is there, with its keys."""
    found = []
    for machine in [each.node for each in await sight.machines()]:
        namespace, name = machine.metadata.namespace, machine.metadata.name
        for need in needs(machine):
            secret = await sight.one(SECRETS, need.name, namespace)
            keys = None if secret is None else [key for key, value in secret.data.items() if value]
            if (problem := lacking(need, keys)) is not None:
                found.append(error(f"Node {namespace}/{name}", f"{problem.field}: {problem.text}", problem.remedy))
    return found
