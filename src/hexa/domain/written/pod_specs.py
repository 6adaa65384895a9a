"""What is wrong with the pods of a machine's Jobs: what the API server would refuse of them, and what could never run.

Pure; every problem is about one field of startupPodSpec, shutdownPodSpec or healthcheckPodSpec.
"""

import re
from collections.abc import Iterator
from typing import Final

from msgspec import structs

from hexa.domain.names import GROUP_LABEL, HOSTNAME_LABEL
from hexa.domain.policy.labels import is_namespace, is_object_name, label_problems
from hexa.domain.policy.problem import Problem
from hexa.domain.quantity import size_of
from hexa.domain.resources.core import Toleration
from hexa.domain.resources.v1alpha1 import (
    EnvVar,
    FieldSelector,
    KeySelector,
    Node,
    PodResources,
    PowerPodSpec,
    VolumeMount,
)

POD_FIELDS: Final = ("startupPodSpec", "shutdownPodSpec", "healthcheckPodSpec")
POD_SPEC_INVALID: Final = "PodSpecInvalid"
_IMAGE: Final = re.compile(
    r"([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:\w[\w.-]{0,127})?(@[\w+.-]+:[0-9a-fA-F]+)?",
    re.ASCII,
)
_FIELD_PATHS: Final = re.compile(
    r"metadata\.(name|namespace|uid|(labels|annotations)\['[^']+'\])|spec\.(nodeName|serviceAccountName)|status\.(hostIPs?|podIPs?)"
)
"""What a pod may be told of itself (Kubernetes reference, downward API)."""
_OPERATORS: Final = ("", "Equal", "Exists")


def pod_problems(machine: Node) -> Iterator[Problem]:
    """What is wrong with the pods of a machine's Jobs."""
    spec = machine.spec
    pods = (spec.startup_pod_spec, spec.shutdown_pod_spec, spec.healthcheck_pod_spec)
    for name, pod in zip(POD_FIELDS, pods, strict=True):
        if pod is not None:
            yield from pod_spec_problems(pod, f"spec.{name}", node=spec.kubernetes_node_name or machine.metadata.name)


def hints(machine: Node) -> Iterator[Problem]:
    """The same for a condition: the machine is switched by what works of it all the same."""
    for problem in pod_problems(machine):
        yield structs.replace(problem, severity="warning", reason=POD_SPEC_INVALID)


def image_problems(image: str, field: str) -> Iterator[Problem]:
    """What is wrong with the name of an image."""
    if not _IMAGE.fullmatch(image):
        remedy = "write REGISTRY/NAME:TAG, the name in lower case and without spaces"
        yield Problem(field, f"{image!r} is not the name of an image", remedy, reason="BadImage")


def pod_spec_problems(pod: PowerPodSpec, where: str, *, node: str = "") -> Iterator[Problem]:
    """What is wrong with the pod of a Job. `node`: the Kubernetes node that it never runs on, because it switches it."""
    yield from image_problems(pod.image, f"{where}.image")
    names = [volume.name for volume in pod.volumes]
    paths = [volume.mount_path for volume in pod.volumes]
    for index, volume in enumerate(pod.volumes):
        here = f"{where}.volumes[{index}]"
        yield from _volume_problems(volume, here)
        if volume.name in names[:index]:
            yield Problem(f"{here}.name", f"{volume.name!r} is taken", "give each its own name", reason="Duplicate")
        if volume.mount_path in paths[:index]:
            text = f"{volume.mount_path!r} is taken by {names[paths.index(volume.mount_path)]}"
            yield Problem(f"{here}.mountPath", text, "give each its own path", reason="Duplicate")
    for index, variable in enumerate(pod.env):
        yield from _variable_problems(variable, f"{where}.env[{index}]")
    for index, toleration in enumerate(pod.tolerations):
        yield from _toleration_problems(toleration, f"{where}.tolerations[{index}]")
    for index, name in enumerate(pod.image_pull_secrets):
        if not is_object_name(name):
            remedy = "write the name of a Secret of the machine's namespace"
            yield Problem(f"{where}.imagePullSecrets[{index}]", f"{name!r} is no name", remedy, reason="BadName")
    yield from _name_problems(pod, where)
    yield from label_problems(pod.node_selector, f"{where}.nodeSelector")
    yield from _resource_problems(pod.resources, f"{where}.resources")
    yield from _place_problems(pod.node_selector, f"{where}.nodeSelector", node)


def _name_problems(pod: PowerPodSpec, where: str) -> Iterator[Problem]:
    """Names that are none in Kubernetes."""
    named = [(f"{where}.serviceAccount", pod.service_account)]
    for index, volume in enumerate(pod.volumes):
        here = f"{where}.volumes[{index}]"
        named += [(f"{here}.secretName", volume.secret_name), (f"{here}.configMapName", volume.config_map_name)]
        if not is_namespace(volume.name):
            remedy = "use lower case letters, digits and - only"
            yield Problem(f"{here}.name", f"{volume.name!r} is no name of a volume", remedy, reason="BadName")
    for field, name in named:
        if name and not is_object_name(name):
            yield Problem(
                field, f"{name!r} is no name", "use lower case letters, digits, - and . only", reason="BadName"
            )


def _toleration_problems(toleration: Toleration, where: str) -> Iterator[Problem]:
    if toleration.operator not in _OPERATORS:
        yield Problem(
            f"{where}.operator",
            f"{toleration.operator!r} is not known",
            "write Equal or Exists",
            reason="BadToleration",
        )
    elif toleration.operator == "Exists" and toleration.value:
        yield Problem(
            f"{where}.value",
            "operator Exists compares no value",
            "remove it, or write operator: Equal",
            reason="BadToleration",
        )
    elif toleration.operator != "Exists" and not toleration.key:
        yield Problem(
            f"{where}.key", "operator Equal needs a key", "add it, or write operator: Exists", reason="BadToleration"
        )
    if toleration.toleration_seconds is not None and toleration.effect != "NoExecute":
        text = "tolerationSeconds goes with effect NoExecute alone"
        yield Problem(
            f"{where}.tolerationSeconds", text, "remove it, or write effect: NoExecute", reason="BadToleration"
        )


def _resource_problems(resources: PodResources, where: str) -> Iterator[Problem]:
    for name, request in resources.requests.items():
        limit = resources.limits.get(name)
        if limit is not None and size_of(str(request)) > size_of(str(limit)):
            text = f"{request} is more than the limit {limit}"
            remedy = "lower it, or raise the limit: the API server refuses the pod"
            yield Problem(f"{where}.requests.{name}", text, remedy, severity="warning", reason="RequestAboveLimit")


def _place_problems(selector: dict[str, str], where: str, node: str) -> Iterator[Problem]:
    if GROUP_LABEL in selector:
        text = f"{GROUP_LABEL}: the Job runs on nodes outside all groups, and those do not carry it"
        yield Problem(where, text, "remove it", reason="NowhereToRun")
    elif node and selector.get(HOSTNAME_LABEL) == node:
        text = f"{HOSTNAME_LABEL} is {node}: the machine itself, which never runs its own Job"
        yield Problem(where, text, "name a node that stays on", reason="NowhereToRun")


def _volume_problems(volume: VolumeMount, where: str) -> Iterator[Problem]:
    if bool(volume.secret_name) == bool(volume.config_map_name):
        text = "has both secretName and configMapName" if volume.secret_name else "shows nothing"
        yield Problem(where, text, "set one of secretName and configMapName", reason="NotOneSource")
    if not volume.mount_path.startswith("/"):
        text = f"{volume.mount_path!r} does not begin with /"
        yield Problem(f"{where}.mountPath", text, "write the whole path", reason="BadPath")
    elif ":" in volume.mount_path:
        text = f"{volume.mount_path!r} has a colon, which Kubernetes does not take"
        yield Problem(f"{where}.mountPath", text, "mount it elsewhere", reason="BadPath")


def _variable_problems(variable: EnvVar, where: str) -> Iterator[Problem]:
    source = variable.value_from
    if source is None:
        return
    if variable.value:
        yield Problem(where, "has both value and valueFrom", "remove one of them", reason="NotOneSource")
    given = [each for each in (source.secret_key_ref, source.config_map_key_ref, source.field_ref) if each]
    if len(given) != 1:
        remedy = "set one of secretKeyRef, configMapKeyRef and fieldRef"
        yield Problem(f"{where}.valueFrom", f"names {len(given)} sources", remedy, reason="NotOneSource")
    for name, selector in (("secretKeyRef", source.secret_key_ref), ("configMapKeyRef", source.config_map_key_ref)):
        if selector is not None:
            yield from _key_problems(selector, f"{where}.valueFrom.{name}")
    if source.field_ref is not None:
        yield from _field_problems(source.field_ref, f"{where}.valueFrom.fieldRef")


def _key_problems(selector: KeySelector, where: str) -> Iterator[Problem]:
    for field, text in (("name", selector.name), ("key", selector.key)):
        if not text:
            yield Problem(f"{where}.{field}", "is empty: no pod starts with it", "add it", reason="Required")


def _field_problems(selector: FieldSelector, where: str) -> Iterator[Problem]:
    if not _FIELD_PATHS.fullmatch(selector.field_path):
        text = f"{selector.field_path!r} is no field that a pod is told of itself"
        yield Problem(f"{where}.fieldPath", text, "write one such as spec.nodeName or metadata.name", reason="BadPath")
