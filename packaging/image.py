"""dist/hexa-image.tar: the image of deploy/Containerfile as an OCI archive, on Debian packages, without a registry.

    image.py [--arch amd64 --arch arm64] [--output dist/hexa-image.tar]

Needs root, mmdebstrap and buildah, and no daemon. Nothing is emulated: Debian's packages are unpacked and not installed,
hexa's packages come as wheels. The result depends on the sources and on the versions of the Debian packages alone.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from stage import MACHINES, PLATFORMS
from tree import ROOT, make

NAME: Final = "hexa"
SUITE: Final = "bookworm"
PYTHON: Final = "3.11"
"""The one of the suite."""
PACKAGES: Final = (
    "python3-minimal",
    f"python{PYTHON}-minimal",
    f"libpython{PYTHON}-stdlib",
    "libstdc++6",  # of greenlet
    "ca-certificates",
    "openssh-client",  # of the power driver ssh
    "tzdata",
)
USER: Final = "nonroot:x:65532:65532:nonroot:/tmp:/usr/sbin/nologin\n"
GROUP: Final = "nonroot:x:65532:\n"


def named(pattern: str, *names: str) -> tuple[str, ...]:
    """The pattern with each of the names."""
    return tuple(pattern.format(name) for line in names for name in line.split())


UNUSED: Final = (
    *("usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian", "usr/share/bash-completion"),
    *("usr/share/zoneinfo/right", "usr/share/zoneinfo/posix", "usr/share/perl5", "usr/share/python3"),
    *("usr/lib/*/gconv", "usr/lib/*/perl*", "usr/sbin/*", "sbin/*", "var/cache/*", "var/lib/apt", "var/log/*"),
    *(
        "usr/bin/openssl",
        "usr/bin/c_rehash",
        "usr/bin/dpkg*",
        "usr/bin/perl*",
        "bin/tar",
        "usr/bin/update-alternatives",
        "usr/bin/debconf*",
    ),
    *(
        "usr/bin/ssh-*",
        "usr/bin/s[cf][tp]*",
        "usr/bin/slogin",
        "usr/lib/openssh",
        "usr/bin/ch*",
        "usr/bin/*passwd",
        "usr/bin/expiry",
        "etc/init.d",
        "etc/X11",
    ),
    *(
        "usr/lib/*/libdb-5*",
        "usr/lib/python3*/lib-dynload/_dbm*",
        "lib/*/libmvec*",
        "lib/*/libsepol*",
        "usr/lib/*/libsemanage*",
    ),
    *("usr/libexec/*", "usr/share/dpkg", "usr/share/bug", "etc/dpkg", "etc/cron.daily", "etc/logrotate.d"),
    *("usr/share/doc/*/changelog*", "usr/share/doc/*/NEWS*", "usr/share/doc/*/README*", "usr/share/doc/*/examples"),
    *(f"usr/lib/python3*/{name}" for name in ("test", "idlelib", "lib2to3", "pydoc_data", "turtledemo", "ensurepip")),
    "usr/lib/python3*/lib-dynload/_test*",
    *named(
        "usr/lib/python3*/{}",
        "curses dbm sqlite3 tkinter unittest venv xmlrpc _pydecimal.py _pyio.py crypt.py doctest.py imaplib.py mailbox.py",
        "nntplib.py pickletools.py poplib.py telnetlib.py turtle.py",
    ),
    *named(
        "usr/lib/python3*/lib-dynload/{}.*",
        "_bz2 _codecs_* _crypt _ctypes_test _curses* _dbm _lzma _sqlite3 audioop nis ossaudiodev readline",
    ),
    *named(  # what these modules load, and what other packages brought
        "usr/lib/*/lib{}.so*",
        "sqlite3 zstd fido2 cbor udev edit bsd md expatw nsl acl formw menuw panelw tic pcprofile memusage",
    ),
    *named(
        "lib/*/lib{}.so*",
        "readline history ncursesw tinfo tirpc nsl crypt lzma bz2 pam* audit cap-ng udev acl c_malloc_debug memusage pcprofile",
    ),
    *named("{}", "lib/*/security usr/lib/*/engines-3 etc/pam.d etc/security usr/share/pam* usr/share/ca-certificates"),
    *named("usr/share/{}", "gcc gdb apport polkit-1 pixmaps binfmts readline debconf"),
)
"""What neither Python nor hexa opens: no shell, no package manager and no privileged program is left."""


def main() -> None:
    """Build it, and say how large it is."""
    parser = argparse.ArgumentParser(description="Build the image without a registry.")
    own = MACHINES[platform.machine()]
    parser.add_argument("--arch", action="append", choices=sorted(PLATFORMS), help="may be repeated; default: both")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "hexa-image.tar")
    given = parser.parse_args()
    missing = [program for program in ("mmdebstrap", "buildah") if shutil.which(program) is None]
    if missing or os.geteuid():
        sys.exit(f"needs root, and {' and '.join(missing or ['nothing else'])}: see .ci/packages")
    architectures = given.arch or sorted(PLATFORMS)
    if own not in architectures:
        sys.exit(f"the first stage runs on {own}: build for it too")
    with tempfile.TemporaryDirectory(prefix="hexa-image-") as folder:
        build(architectures, given.output, Path(folder))


def build(architectures: list[str], output: Path, folder: Path) -> None:
    """The images of all architectures as one archive with one index."""
    os.environ["SOURCE_DATE_EPOCH"] = str(epoch())
    buildah = Buildah(folder)
    prepared = ROOT / "dist" / "image"
    shutil.rmtree(prepared, ignore_errors=True)
    for architecture in architectures:
        root = folder / f"{architecture}.tar"
        debian(root, architecture)
        buildah.base(root, architecture)
        make(prepared / architecture, platform=PLATFORMS[architecture], python=PYTHON)
    name = f"localhost/{NAME}:{version()}"
    buildah.build(name, architectures)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)
    buildah.run("manifest", "push", "--quiet", "--all", "--format=oci", name, f"oci-archive:{output}:{name}")
    shutil.rmtree(prepared)
    for architecture in architectures:
        print(f"{architecture}: {buildah.size(name, architecture) / 1e6:.1f} MB unpacked")
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, {' and '.join(architectures)}, {name}")


def version() -> str:
    """hexa's, of pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def git(*arguments: str) -> str:
    """What git says; nothing where this is no checkout."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def epoch() -> int:
    """The time that all files get: that of the last commit."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or git("log", "-1", "--format=%ct") or 0)


# --- the base -------------------------------------------------------------------------------------


def debian(archive: Path, architecture: str) -> None:
    """A root file system with Python, as a tar archive."""
    with tempfile.TemporaryDirectory(prefix="hexa-root-") as folder:
        hook = Path(folder, "hook.py")
        hook.write_text(f"#!{sys.executable} -I\nimport sys\nsys.path.insert(0, {str(ROOT / 'packaging')!r})\n")
        with hook.open("a") as file:
            file.write("from image import tidy\nfrom pathlib import Path\ntidy(Path(sys.argv[1]))\n")
        hook.chmod(0o755)
        command = ["mmdebstrap", "--quiet", "--variant=extract", f"--architectures={architecture}"]
        include = [f"--include={','.join(PACKAGES)}", f"--extract-hook={hook}"]
        done = subprocess.run([*command, *include, SUITE, str(archive)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"mmdebstrap failed:\n{done.stdout}{done.stderr}")


def tidy(root: Path) -> None:
    """What the packages' scripts would have done, as far as it is needed; and without what is not."""
    authorities = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(path.read_text() for path in authorities))
    for pattern in UNUSED:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    link_copies(root / "usr/share/doc")
    for name, line in (
        ("passwd", f"root:x:0:0:root:/root:/usr/sbin/nologin\n{USER}"),
        ("group", f"root:x:0:\n{GROUP}"),
    ):
        (root / "etc" / name).write_text(line)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)


def link_copies(folder: Path) -> None:
    """Of files that are the same, such as the licences of packages of one source, the first stays, and links lead to it."""
    first: dict[bytes, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            kept = first.setdefault(path.read_bytes(), path)
            if kept != path:
                path.unlink()
                path.symlink_to(os.path.relpath(kept, path.parent))


# --- buildah --------------------------------------------------------------------------------------


class Buildah:
    """buildah with a store of its own, which goes with the folder."""

    def __init__(self, folder: Path) -> None:
        self._store = [f"--root={folder}/store", f"--runroot={folder}/run", "--storage-driver=vfs"]
        self._bases = 0
        self._own = ""
        """The base that can be run here, by its id: by name buildah would look for one of the target's architecture."""

    def run(self, *arguments: str) -> str:
        """What it prints; ends us where it fails."""
        command = ["buildah", *self._store, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"buildah {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def base(self, root: Path, architecture: str) -> None:
        """Add a root file system to the base image of all architectures."""
        if not self._bases:
            self.run("manifest", "create", "localhost/base")
        self._bases += 1
        container = self.run("from", f"--arch={architecture}", "scratch")
        self.run("add", "--quiet", container, str(root), "/")
        self.run("config", f"--arch={architecture}", "--os=linux", container)
        image = f"localhost/base-{architecture}"
        made = self.run("commit", "--quiet", "--rm", f"--timestamp={epoch()}", container, image)
        if architecture == MACHINES[platform.machine()]:
            self._own = made
        self.run("manifest", "add", "localhost/base", image)

    def build(self, name: str, architectures: list[str]) -> None:
        """What the Containerfile says."""
        values = {
            "BASE": "localhost/base",
            "BUILDER": self._own,
            "PREPARED": "dist/image",
            "VERSION": version(),
            "REVISION": git("rev-parse", "HEAD"),
        }
        platforms = ",".join(f"linux/{architecture}" for architecture in architectures)
        self.run(
            *(
                "build",
                "--pull-never",
                "--isolation=chroot",
                f"--platform={platforms}",
                f"--manifest={name}",
                f"--timestamp={epoch()}",
            ),
            *(f"--build-arg={key}={value}" for key, value in values.items()),
            *(f"--file={ROOT}/deploy/Containerfile", f"--ignorefile={ROOT}/.containerignore", str(ROOT)),
        )

    def size(self, name: str, architecture: str) -> int:
        """Bytes of all files of the image."""
        container = self.run("from", f"--arch={architecture}", name)
        root = Path(self.run("mount", container))
        return sum(path.lstat().st_size for path in root.rglob("*") if not path.is_symlink() and path.is_file())


if __name__ == "__main__":
    main()
