"""A headless Chromium, driven by its DevTools protocol over two pipes: no port, no library."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import trio

NAMES: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""Programs that will do, the smallest first; CHROMIUM names another one."""
PATIENCE: Final = 120.0
"""Seconds; a busy machine is slow."""
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # in a container there is none to be had; it sees our own page only
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--no-proxy-server",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--lang=en-US",
    "--remote-debugging-pipe",
)
_START: Final = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


def find_chromium() -> str:
    """The program; empty where there is none."""
    named = os.environ.get("CHROMIUM", "")
    return named or next((found for name in NAMES if (found := shutil.which(name))), "")


class Failed(Exception):
    """What Chromium refused, or what a script of the page raised."""


class Page:
    """A tab. `complaints` are lines of its console that are errors or warnings, and what was not caught."""

    def __init__(self, wire: "_Wire", session: str) -> None:
        self.complaints: Final[list[str]] = []
        self._wire, self._session = wire, session
        wire.listeners.append(self._heard)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the DevTools protocol."""
        return await self._wire.call(method, params, self._session)

    async def run(self, script: str) -> Any:
        """The value of an expression, awaited where it is a promise. Raises `Failed`."""
        answer = await self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            allowUnsafeEvalBlockedByCSP=True,
        )
        if "exceptionDetails" in answer:
            raise Failed(answer["exceptionDetails"].get("exception", {}).get("description", str(answer)))
        return answer["result"].get("value")

    async def until(self, script: str, *, within: float = 60.0) -> Any:
        """The first true value of the expression, which may fail before that."""
        problem = ""
        with trio.move_on_after(within):
            while True:
                try:
                    if found := await self.run(script):
                        return found
                    problem = ""
                except Failed as error:
                    problem = str(error)
                await trio.sleep(0.02)
        raise Failed(f"not in {within:g} s: {script} {problem}; the console says {self.complaints}")

    async def go(self, url: str) -> None:
        """Open a page."""
        if problem := (await self.call("Page.navigate", url=url)).get("errorText"):
            raise Failed(f"{url}: {problem}")

    async def wide(self, width: int, *, height: int = 900, scale: float = 1.0) -> None:
        """Give the window another size."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    async def dark(self, dark: bool = True) -> None:
        """What the reader's system prefers."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, *, kind: str = "webp", quality: int = 80) -> bytes:
        """What is seen, as webp or png."""
        more = {} if kind == "png" else {"quality": quality}
        answer = await self.call("Page.captureScreenshot", format=kind, **more)
        return base64.b64decode(answer["data"])

    async def press(self, key: str) -> None:
        """A key: Tab, Enter."""
        codes = {"Tab": 9, "Enter": 13}
        text = {"text": "\r"} if key == "Enter" else {}
        known = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **known, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    def _heard(self, message: dict[str, Any]) -> None:
        if message.get("sessionId") != self._session:
            return
        method, params = message["method"], message["params"]
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}".strip())
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(each.get("value", each)) for each in params["args"]))
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"a dialog: {params['message']}")


class _Wire:
    """Messages are JSON, each ended by a zero byte."""

    def __init__(self, sending: trio.lowlevel.FdStream, receiving: trio.lowlevel.FdStream) -> None:
        self.listeners: list[Callable[[dict[str, Any]], None]] = []
        self._sending, self._receiving = sending, receiving
        self._lock = trio.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, trio.MemorySendChannel[dict[str, Any]]] = {}

    async def call(self, method: str, params: dict[str, Any], session: str = "") -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        send, receive = trio.open_memory_channel[dict[str, Any]](1)
        self._waiting[number] = send
        async with self._lock:
            await self._sending.send_all(json.dumps(message).encode() + b"\0")
        with trio.fail_after(PATIENCE):
            answer = await receive.receive()
        if "error" in answer:
            raise Failed(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def listen(self) -> None:
        rest = b""
        async for data in self._receiving:
            *messages, rest = (rest + data).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self._waiting.pop(message["id"]).send_nowait(message)
                else:
                    for listener in self.listeners:
                        listener(message)


class Browser:
    """A running Chromium."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    async def open_page(self) -> Page:
        """A tab with cookies and storage of its own."""
        context = (await self._wire.call("Target.createBrowserContext", {}))["browserContextId"]
        made = await self._wire.call("Target.createTarget", {"url": "about:blank", "browserContextId": context})
        target = {"targetId": made["targetId"], "flatten": True}
        page = Page(self._wire, (await self._wire.call("Target.attachToTarget", target))["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.call(f"{domain}.enable")
        return page


@asynccontextmanager
async def open_browser(program: str = "") -> AsyncIterator[Browser]:
    """A browser, ended with the block."""
    program = program or find_chromium()
    to_read, sending = os.pipe()
    receiving, to_write = os.pipe()
    with tempfile.TemporaryDirectory(prefix="hexa-chromium-", ignore_cleanup_errors=True) as folder:
        command = [program, *_FLAGS, f"--user-data-dir={folder}", "about:blank"]
        process = await trio.lowlevel.open_process(
            [sys.executable, "-c", _START, str(to_read), str(to_write), *command],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": folder},
        )
        os.close(to_read)
        os.close(to_write)
        try:
            async with trio.lowlevel.FdStream(sending) as out, trio.lowlevel.FdStream(receiving) as back:
                wire = _Wire(out, back)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(wire.listen)
                    yield Browser(wire)
                    with trio.move_on_after(5, shield=True):
                        await wire.call("Browser.close", {})
                    nursery.cancel_scope.cancel()
        finally:
            process.terminate()
            with trio.CancelScope(shield=True):
                await process.wait()
