"""The pods of a machine's own Jobs: startupPodSpec, shutdownPodSpec and healthcheckPodSpec of a Node."""

from typing import Annotated, ClassVar

from msgspec import Meta, field

from hexa.domain.resources.core import Slice, Toleration
from hexa.domain.resources.values import INT32_MAX, Quantity, Rule, Rules


class KeySelector(Slice, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="Name of the Secret or ConfigMap.")] = ""
    key: Annotated[str, Meta(description="Key in it.")] = ""
    optional: Annotated[bool, Meta(description="Start the pod even if it is missing.")] = False


class FieldSelector(Slice, frozen=True, kw_only=True):
    field_path: Annotated[str, Meta(description="Path of a field of the pod, such as spec.nodeName.")] = ""


class EnvVarSource(Slice, frozen=True, kw_only=True):
    RULES: ClassVar[Rules] = (
        Rule(
            "[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].exists_one(is, is)",
            "one of secretKeyRef, configMapKeyRef and fieldRef is needed, and only one",
        ),
    )

    secret_key_ref: Annotated[KeySelector | None, Meta(description="From a Secret of the same namespace.")] = None
    config_map_key_ref: Annotated[KeySelector | None, Meta(description="From a ConfigMap of the same namespace.")] = (
        None
    )
    field_ref: Annotated[FieldSelector | None, Meta(description="From a field of the pod.")] = None


class EnvVar(Slice, frozen=True, kw_only=True):
    RULES: ClassVar[Rules] = (
        Rule(
            "!has(self.valueFrom) || !has(self.value) || self.value == ''",
            "value and valueFrom exclude each other",
        ),
    )

    name: Annotated[str, Meta(min_length=1, description="Name of the variable.")]
    value: Annotated[str, Meta(description="Its value.")] = ""
    value_from: Annotated[EnvVarSource | None, Meta(description="Where its value comes from instead.")] = None


class VolumeMount(Slice, frozen=True, kw_only=True):
    RULES: ClassVar[Rules] = (
        Rule(
            "(has(self.secretName) && self.secretName != '') != (has(self.configMapName) && self.configMapName != '')",
            "one of secretName and configMapName is needed, and only one",
        ),
    )

    name: Annotated[str, Meta(min_length=1, max_length=63, description="Name of the volume.")]
    mount_path: Annotated[str, Meta(min_length=1, description="Where it is mounted, read-only.")]
    secret_name: Annotated[str, Meta(description="The Secret it shows (either this or configMapName).")] = ""
    config_map_name: Annotated[str, Meta(description="The ConfigMap it shows (either this or secretName).")] = ""


class PodResources(Slice, frozen=True, kw_only=True):
    requests: Annotated[dict[str, Quantity], Meta(description="What the container is guaranteed.")] = field(
        default_factory=dict
    )
    limits: Annotated[dict[str, Quantity], Meta(description="What the container may use at most.")] = field(
        default_factory=dict
    )


class PowerPodSpec(Slice, frozen=True, kw_only=True):
    """What runs as a Kubernetes Job to switch the machine."""

    image: Annotated[str, Meta(min_length=1, description="Container image.")]
    command: Annotated[tuple[str, ...], Meta(description="Entry point. Default: the image's.")] = ()
    args: Annotated[tuple[str, ...], Meta(description="Arguments.")] = ()
    env: Annotated[tuple[EnvVar, ...], Meta(max_length=256, description="Environment of the container.")] = ()
    volumes: Annotated[
        tuple[VolumeMount, ...],
        Meta(
            max_length=64,
            description="Secrets and ConfigMaps mounted into the container.",
            extra={"x-crd": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}},
        ),
    ] = ()
    service_account: Annotated[
        str,
        Meta(description="ServiceAccount of the pod. Default: the namespace's default, without a mounted token."),
    ] = ""
    ttl_seconds_after_finished: Annotated[
        int,
        Meta(
            ge=0,
            le=INT32_MAX,
            description="A finished Job that hexa did not get to delete goes after this, in seconds. Default 600.",
            extra={"x-crd": {"default": 600}},
        ),
    ] = 600
    host_network: Annotated[
        bool, Meta(description="Run in the host's network, as Wake-on-LAN needs. Default false.")
    ] = False
    node_selector: Annotated[
        dict[str, str],
        Meta(description="Labels of the nodes that may run the Job, besides being outside every group."),
    ] = field(default_factory=dict)
    tolerations: Annotated[
        tuple[Toleration, ...], Meta(description="Taints that are tolerated, besides the control plane's.")
    ] = ()
    resources: Annotated[PodResources, Meta(description="Requests and limits of the container.")] = PodResources()
    image_pull_secrets: Annotated[tuple[str, ...], Meta(description="Names of Secrets to pull the image with.")] = ()
    toggle: Annotated[
        bool,
        Meta(
            description="It presses the machine's power button, which does the opposite of what is: it is not run again before a "
            "reading or a sign of life has told what the last press did. Default false."
        ),
    ] = False
