"""Secrets of tests, as Kubernetes mounts them."""

from pathlib import Path

from hexa.adapters.power.context import Context, MountedSecrets


def secret(folder: Path, name: str, **keys: str) -> None:
    """Write a Secret."""
    (folder / name).mkdir(exist_ok=True)
    for key, value in keys.items():
        (folder / name / key.replace("_", "-")).write_text(value + "\n")


def context(folder: Path, *, patience: float = 5.0) -> Context:
    """What drivers of worker-01 are told."""
    return Context(machine="worker-01", secrets=MountedSecrets(folder), patience=patience)
