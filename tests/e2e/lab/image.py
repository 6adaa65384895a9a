"""The images of the lab, made without a registry: its tools for all pods, and what stands for Cluster Autoscaler.

Owns the archives' bytes; refuses to know who runs them. The tools' default command waits until it is told to
end, so that the same image serves as the sandbox of every pod.
"""

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

NAME = "hexa.test/tools:1"
BUSYBOX_NAME = "docker.io/library/busybox:1.37"  # what our pages let pods use
AUTOSCALER = "registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.1"
BUSYBOX = Path("/bin/busybox")
_WAIT = ["/bin/sh", "-c", "trap 'exit 0' TERM INT; sleep 2147483647 & wait"]
_FOLDERS = {"bin": 0o755, "etc": 0o755, "tmp": 0o1777, "var": 0o755}
_FILES = {"etc/passwd": "root:x:0:0:root:/:/bin/sh\n", "etc/group": "root:x:0:\n"}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_tools(archive: Path, *, wol: Path, machine: str) -> None:
    """Busybox and `wol`; `machine` is the processor, as `uname -m` says it."""
    _write(archive, NAME, BUSYBOX_NAME, layer=_tools(wol), command=_WAIT, machine=machine)


def write_autoscaler(archive: Path, *, binary: Path, machine: str) -> None:
    """The stand-in for Cluster Autoscaler, under the name of the stock image."""
    _write(archive, AUTOSCALER, layer=_one_program(binary), command=[f"/{binary.name}"], machine=machine)


def _write(archive: Path, *names: str, layer: bytes, command: list[str], machine: str) -> None:
    """An archive that `ctr image import` reads."""
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": {"Cmd": command, "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": names, "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        _add(tar, config_name, config)
        _add(tar, "layer.tar", layer)
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def _one_program(binary: Path) -> bytes:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        _add(tar, binary.name, binary.read_bytes(), mode=0o755)
    return layer.getvalue()


def _tools(wol: Path) -> bytes:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name, mode in _FOLDERS.items():
            tar.addfile(_entry(name, tarfile.DIRTYPE, mode=mode))
        for name, text in _FILES.items():
            _add(tar, name, text.encode())
        _add(tar, "bin/busybox", BUSYBOX.read_bytes(), mode=0o755)
        _add(tar, "bin/wol", wol.read_bytes(), mode=0o755)
        for applet in sorted(_applets() - {"busybox", "wol"}):
            tar.addfile(_entry(f"bin/{applet}", tarfile.SYMTYPE, target="busybox"))
    return layer.getvalue()


def _applets() -> set[str]:
    listed = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True)
    return set(listed.stdout.split())


def _add(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    entry = _entry(name, tarfile.REGTYPE, mode=mode)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _entry(name: str, kind: bytes, *, mode: int = 0o755, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname = kind, mode, target
    return entry
