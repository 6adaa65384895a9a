"""The Job models of the `kubernetes` package, and nothing else of it.

Its own `__init__` loads the whole client (REST, websockets, OAuth), which takes 0.4 s and 10 MiB that an agent with a
budget does not have. So while the models are imported their parent packages stand in as empty ones.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


@contextmanager
def _without_client() -> Iterator[None]:
    """Let submodules of `kubernetes.client` be imported without running what is above them."""
    spec = find_spec("kubernetes") if "kubernetes" not in sys.modules else None
    if spec is None or not spec.submodule_search_locations:
        yield
        return
    root = Path(spec.submodule_search_locations[0])
    stand_ins = {"kubernetes": root, "kubernetes.client": root / "client"}
    for name, folder in stand_ins.items():
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [str(folder)]
    try:
        yield
    finally:
        for name in stand_ins:  # whoever imports them later gets the real ones
            sys.modules.pop(name, None)


with _without_client():
    from kubernetes.client.models.v1_affinity import V1Affinity
    from kubernetes.client.models.v1_config_map_volume_source import V1ConfigMapVolumeSource
    from kubernetes.client.models.v1_container import V1Container
    from kubernetes.client.models.v1_cron_job import V1CronJob
    from kubernetes.client.models.v1_cron_job_spec import V1CronJobSpec
    from kubernetes.client.models.v1_env_var import V1EnvVar
    from kubernetes.client.models.v1_job import V1Job
    from kubernetes.client.models.v1_job_spec import V1JobSpec
    from kubernetes.client.models.v1_job_template_spec import V1JobTemplateSpec
    from kubernetes.client.models.v1_local_object_reference import V1LocalObjectReference
    from kubernetes.client.models.v1_node_affinity import V1NodeAffinity
    from kubernetes.client.models.v1_node_selector import V1NodeSelector
    from kubernetes.client.models.v1_node_selector_requirement import V1NodeSelectorRequirement
    from kubernetes.client.models.v1_node_selector_term import V1NodeSelectorTerm
    from kubernetes.client.models.v1_object_meta import V1ObjectMeta
    from kubernetes.client.models.v1_owner_reference import V1OwnerReference
    from kubernetes.client.models.v1_pod_security_context import V1PodSecurityContext
    from kubernetes.client.models.v1_pod_spec import V1PodSpec
    from kubernetes.client.models.v1_pod_template_spec import V1PodTemplateSpec
    from kubernetes.client.models.v1_resource_requirements import V1ResourceRequirements
    from kubernetes.client.models.v1_seccomp_profile import V1SeccompProfile
    from kubernetes.client.models.v1_secret_volume_source import V1SecretVolumeSource
    from kubernetes.client.models.v1_toleration import V1Toleration
    from kubernetes.client.models.v1_volume import V1Volume
    from kubernetes.client.models.v1_volume_mount import V1VolumeMount

__all__ = [
    "V1Affinity",
    "V1ConfigMapVolumeSource",
    "V1Container",
    "V1CronJob",
    "V1CronJobSpec",
    "V1EnvVar",
    "V1Job",
    "V1JobSpec",
    "V1JobTemplateSpec",
    "V1LocalObjectReference",
    "V1NodeAffinity",
    "V1NodeSelector",
    "V1NodeSelectorRequirement",
    "V1NodeSelectorTerm",
    "V1ObjectMeta",
    "V1OwnerReference",
    "V1PodSecurityContext",
    "V1PodSpec",
    "V1PodTemplateSpec",
    "V1ResourceRequirements",
    "V1SeccompProfile",
    "V1SecretVolumeSource",
    "V1Toleration",
    "V1Volume",
    "V1VolumeMount",
]
