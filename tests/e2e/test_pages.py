"""A newcomer follows our pages word by word: every command block of README and docs, in one cluster, in the order of the
walk, with an empty home. Blocks that are tagged as not run are left out; each page says how many.

The cluster is a lab with one machine that is off and, in the place of Cluster Autoscaler, the lab's stand-in.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import built
import lab as labs
import pytest
import trio
from tests.docs.pages import COMMANDS, DOCS, PAGES, ROOT, Block, blocks_of

BEGIN: Final = ("README.md", "docs/install.md", "docs/first-machine.md")
END: Final = ("docs/uninstall.md",)
"""The way in and the way out; every other page is followed between the two, and leaves things as they were."""

PAGE_SECONDS: Final = 300.0
MARK: Final = "::block "


def walk() -> list[Path]:
    """The pages in the order in which they are followed."""
    first, last = [ROOT / page for page in BEGIN], [ROOT / page for page in END]
    return [*first, *(page for page in PAGES if page not in (*first, *last)), *last]


def commands(page: Path) -> list[Block]:
    """The blocks of a page that are run."""
    return [block for block in blocks_of(page) if block.language == COMMANDS and not block.unchecked]


def script(blocks: Sequence[Block]) -> str:
    """One shell for a page, so that a block may use what the one before has set; each says that it begins."""
    return "\n".join(["set -e", *(f"echo '{MARK}{block.number}'\n{block.text}" for block in blocks)])


@pytest.fixture
async def cluster(
    session_lab: labs.Lab, tmp_path: Path, uncaptured: Callable[[], AbstractContextManager[None]]
) -> AsyncIterator[dict[str, str]]:
    """The environment of the newcomer's shell: a cluster of its own with a machine, hexa and kubectl on PATH, an empty home."""
    if session_lab.kind != "real":
        pytest.skip("simulated pods run no image")

    def say(line: str) -> None:
        with uncaptured():
            print(f"\n{line}", end="", flush=True)

    image = await trio.to_thread.run_sync(built.image, say)
    with labs.open_run() as folder:
        lab = labs.Lab(folder, session_lab.binaries, kind="real")
        try:
            await lab.start()
            lab.add_autoscaler_image()
            lab.add_image(image)
            async with labs.open_machines(lab) as machines:
                machines.add(boot_delay=2.0)
                yield newcomer(lab, machines, tmp_path)
        finally:
            with trio.CancelScope(shield=True):
                await lab.stop()


def newcomer(lab: labs.Lab, machines: labs.Machines, folder: Path) -> dict[str, str]:
    """What the newcomer has: the examples of a checkout, `machines.yaml`, and programs."""
    home, desk, programs = (folder / name for name in ("home", "desk", "programs"))
    for each in (home, desk, programs):
        each.mkdir()
    shutil.copytree(ROOT / "examples", desk / "examples")
    shutil.copytree(ROOT / "deploy", desk / "deploy")
    (desk / "machines.yaml").write_text(machines.as_resources())
    (programs / "hexa").write_text(f'#!/bin/sh\nexec {sys.executable} -m hexa "$@"\n')
    (programs / "hexa").chmod(0o755)
    path = f"{programs}:{lab.binaries}:{os.defpath}"
    return {"HOME": str(home), "PWD": str(desk), "PATH": path, "KUBECONFIG": str(lab.control_plane.kubeconfig())}


async def follow(page: Path, environment: dict[str, str]) -> str:
    """Runs the blocks of a page; the error says which one failed, and how. Returns what they print."""
    command = ["bash", "-c", script(commands(page))]
    with trio.move_on_after(PAGE_SECONDS) as limit:
        done = await trio.run_process(
            command, env=environment, cwd=environment["PWD"], capture_stdout=True, stderr=subprocess.STDOUT, check=False
        )
    assert not limit.cancelled_caught, f"{page.name} took longer than {PAGE_SECONDS:g} s"
    said = done.stdout.decode()
    last = said.rpartition(MARK)[2].partition("\n")[0]
    print(f"--- {page.relative_to(ROOT)}\n{said}")
    assert done.returncode == 0, f"{page.relative_to(ROOT)}, block {last}: {said[-3000:]}"
    return said


async def test_newcomer(cluster: dict[str, str]) -> None:
    """From README through the install page to a pod that wakes a machine, and out again: every block does what it says."""
    said = ""
    for page in walk():
        if commands(page):
            said = await follow(page, cluster)
    left = said.rpartition(MARK)[2].partition("\n")[2]
    assert not left, "the last block of the way out looks for what is left"


def test_walk_has_the_way_in_and_out() -> None:
    """The walk begins and ends with pages that have commands to run, and holds every page."""
    assert set(walk()) == set(PAGES)
    for page in ("install.md", "first-machine.md"):
        assert commands(DOCS / page)
