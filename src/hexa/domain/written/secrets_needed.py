"""Which Secrets a machine's power needs, and which keys in them: for whoever may look whether they are there.

hexa itself reads no Secret but those of sensors, where it was given the right; so a Secret that is not there is found by
a person's rights (`hexa doctor`), or told by the pod that waits for it.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from hexa.domain.policy.problem import Problem
from hexa.domain.power.roles import drivers, settings
from hexa.domain.resources.power_spec import PowerSpec
from hexa.domain.resources.v1alpha1 import Node, PowerPodSpec
from hexa.domain.written.pod_specs import POD_FIELDS


class Need(Struct, frozen=True, order=True):
    """A Secret that a field names, and what must be in it."""

    name: str
    field: str
    keys: tuple[str, ...] = ()
    """All of these."""
    instead: str = ""
    """Or this one alone."""


KEYS: Final[dict[str, tuple[str, ...]]] = {
    "wakeOnLan": ("password",),
    "ipmi": ("username", "password"),
    "redfish": ("username", "password"),
    "ssh": ("ssh-privatekey", "known_hosts"),
    "http": ("password",),
}
"""Keys that the drivers read; of script and plugin nobody knows."""


def needs(machine: Node) -> Iterator[Need]:
    """Every Secret that the machine's Jobs and its sensor need."""
    spec = machine.spec
    if spec.power is not None:
        yield from _of_power(spec.power)
    pods = (spec.startup_pod_spec, spec.shutdown_pod_spec, spec.healthcheck_pod_spec)
    for field, pod in zip(POD_FIELDS, pods, strict=True):
        if pod is not None:
            yield from _of_pod(pod, f"spec.{field}")


def _of_power(power: PowerSpec) -> Iterator[Need]:
    for driver in drivers(power):
        given: Any = settings(power, driver)
        where = f"spec.power.{driver}"
        if name := getattr(given, "secret_name", ""):
            keys = _of_pdu(given.version) if driver == "pdu" else KEYS.get(driver, ())
            yield Need(name, f"{where}.secretName", keys, "token" if driver == "http" else "")
        if name := getattr(getattr(given, "tls", None), "ca_secret_name", ""):
            yield Need(name, f"{where}.tls.caSecretName", ("ca.crt",))


def _of_pdu(version: str) -> tuple[str, ...]:
    return ("username",) if version == "v3" else ("community",)


def _of_pod(pod: PowerPodSpec, where: str) -> Iterator[Need]:
    for index, volume in enumerate(pod.volumes):
        if volume.secret_name:
            yield Need(volume.secret_name, f"{where}.volumes[{index}].secretName")
    for index, variable in enumerate(pod.env):
        ref = variable.value_from.secret_key_ref if variable.value_from is not None else None
        if ref is not None and ref.name and ref.key and not ref.optional:
            yield Need(ref.name, f"{where}.env[{index}].valueFrom.secretKeyRef", (ref.key,))
    for index, name in enumerate(pod.image_pull_secrets):
        yield Need(name, f"{where}.imagePullSecrets[{index}]")


def lacking(need: Need, keys: Iterable[str] | None) -> Problem | None:
    """What is wrong with the Secret. `keys`: those in it that hold something; None: it is not there."""
    if keys is None:
        text, remedy = f"there is no Secret {need.name}", "make it in the machine's namespace"
        return Problem(need.field, text, remedy, reason="SecretMissing")
    there = set(keys)
    missing = [key for key in need.keys if key not in there]
    if not missing or (need.instead and need.instead in there):
        return None
    text = f"Secret {need.name} has no {' and no '.join(missing)}"
    return Problem(need.field, text, f"add the key {' and '.join(missing)}", reason="SecretKeyMissing")
