"""All objects of an installation, in the order in which they can be applied, by the file that they go to."""

from collections.abc import Iterable, Iterator

from hexa.app.manifests.deployments import workloads
from hexa.app.manifests.monitoring import monitoring
from hexa.app.manifests.monitors import monitors
from hexa.app.manifests.options import Object, Options
from hexa.app.manifests.policies import namespaces, policies
from hexa.app.manifests.rbac import accounts, roles

CLUSTER_KINDS = ("ClusterRole", "ClusterRoleBinding")


def by_file(options: Options) -> dict[str, list[Object]]:
    """File name -> objects. `cluster.yaml` is what cannot be in a namespace."""
    files: dict[str, list[Object]] = {
        "namespaces.yaml": list(namespaces(options)),
        "cluster.yaml": [],
        "roles.yaml": [],
    }
    files["roles.yaml"] += accounts(options)
    for each in roles(options):
        files["cluster.yaml" if each["kind"] in CLUSTER_KINDS else "roles.yaml"].append(each)
    files["network.yaml"] = list(policies(options))
    files["workloads.yaml"] = list(workloads(options))
    for each in (*monitors(options), *monitoring(options)):
        name = "cluster.yaml" if each["kind"] in CLUSTER_KINDS else "monitoring.yaml"
        files.setdefault(name, []).append(each)
    return files


def render(options: Options) -> list[Object]:
    """All objects."""
    return [each for objects in by_file(options).values() for each in objects]


def images(objects: Iterable[Object]) -> Iterator[str]:
    """The images that they name."""
    for each in objects:
        if each["kind"] == "Deployment":
            for container in each["spec"]["template"]["spec"]["containers"]:
                yield container["image"]
