"""What is wrong with settings that read well: what the agent would not start with, or could not use. It reads no file."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from hexa.domain.money.written_tariff import tariff_of
from hexa.domain.notify.written import receivers_of
from hexa.domain.policy.labels import is_label_key, is_namespace
from hexa.domain.policy.problem import Problem
from hexa.domain.written.pod_specs import image_problems

if TYPE_CHECKING:
    from hexa.config import Config

UNIX: Final = "unix:"


def settings_problems(config: "Config") -> Iterator[Problem]:
    """All of them, with their keys."""
    yield from _listeners(config)
    yield from _names(config)
    yield from _selectors(config)
    for name, written in config.tariffs.items():
        yield from tariff_of(name, written)[1]
    yield from receivers_of(config.notify)[1]


def _listeners(config: "Config") -> Iterator[Problem]:
    for port, address, exposed in (
        ("http", config.http.address, config.http.exposed),
        ("grpc", config.grpc.address, config.grpc.exposed),
    ):
        if exposed:
            text = f"{address} can be reached from the network, and there is no TLS: hexa does not start"
            remedy = f"set {port}.tls, listen on 127.0.0.1, or allow it by {port}.insecure"
            yield Problem(f"{port}.address", text, remedy)
    for key, address in (("address", config.grpc.address), ("healthAddress", config.grpc.health_address)):
        port = address.rpartition(":")[2]
        usable = ":" in address and port.isascii() and port.isdigit() and int(port) <= 65535
        if address and not address.startswith(UNIX) and not usable:
            yield Problem(f"grpc.{key}", f"{address[:80]!r} is not HOST:PORT", "write it like 127.0.0.1:50051")


def _names(config: "Config") -> Iterator[Problem]:
    """Texts that are no names in Kubernetes, so that nothing would ever be found by them."""
    for key, texts, what in (
        ("startup.taints", config.startup.taints, "key of a taint"),
        ("gpu.resources", config.gpu.resources, "name of a resource"),
    ):
        for index, text in enumerate(texts):
            if not is_label_key(text.replace("*", "x")):
                remedy = "write it as kubectl describe node shows it; * stands for any text"
                yield Problem(f"{key}[{index}]", f"{text!r} is no {what}", remedy)
    if not is_label_key(config.gpu.label):
        remedy = "write the label by which Cluster Autoscaler knows nodes with GPUs"
        yield Problem("gpu.label", f"{config.gpu.label!r} is no key of a label", remedy)
    for index, name in enumerate(config.namespaces):
        if not is_namespace(name):
            yield Problem(f"namespaces[{index}]", f"{name!r} is no name of a namespace", "correct it")
    if config.jobs.image:
        yield from image_problems(config.jobs.image, "jobs.image")


def _selectors(config: "Config") -> Iterator[Problem]:
    for key, pods in (
        ("controlPods", config.control_pods),
        ("apiServerPods", config.api_server_pods),
        ("storagePods", config.storage_pods),
    ):
        for index, pod in enumerate(pods):
            if not pod.labels:
                text = "is empty and so selects every pod: no machine with a pod would rest"
                yield Problem(f"{key}[{index}].labels", text, "write the labels of the pods that are meant")
