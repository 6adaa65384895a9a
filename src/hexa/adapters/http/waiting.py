"""A page for people who wait until a machine is Ready: when that is, counted down. A reverse proxy shows it meanwhile.

It works without its script, and under whatever path it is shown: it loads itself again, and its files stand beside it.
"""

import re
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hexa.adapters.http.app import Handler
from hexa.domain.words.orders import Eta

LATER: Final = 10
"""Seconds after which the page loads itself again."""
SOON: Final = 3
"""The same close to the end."""
WEIGHT: Final = re.compile(r"[01](\.[0-9]{0,3})?", re.ASCII)
"""As RFC 9110 has it."""
LONGEST: Final = 3_600
"""Seconds after which a program is told to ask again, whatever the machine's clock or boots say."""
KINDS: Final = {"eta.css": "text/css; charset=utf-8", "eta.js": "text/javascript; charset=utf-8"}


def waiting_routes() -> tuple[Route, ...]:
    """The files of the page, which say nothing of the site."""
    return tuple(Route(f"/api/v1/machines/{{namespace}}/{{name}}/{name}", _file(name)) for name in KINDS)


def takes_html(accept: str) -> bool:
    """Whether who sends this header Accept names HTML, and takes JSON no rather."""
    weights = dict(map(_weighed, accept.split(",")))
    html = weights.get("text/html", 0.0)
    return html > 0 and html >= weights.get("application/json", 0.0)


def _weighed(part: str) -> tuple[str, float]:
    """A media type and its weight q; 1 where that does not read."""
    name, *parameters = (each.strip().lower() for each in part.split(";"))
    weight = next((each.removeprefix("q=") for each in parameters if each.startswith("q=")), "1")
    return name, float(weight) if WEIGHT.fullmatch(weight) else 1.0


def waiting_page(eta: Eta) -> Response:
    """The page. 503 with Retry-After while the machine is not Ready: to programs that ask for what runs there it is away."""
    refresh = SOON if eta.eta_seconds is not None and eta.eta_seconds <= 2 * LATER else LATER
    text = _template().substitute(
        refresh=refresh,
        title=escape(f"{eta.name} {'is ready' if eta.ready else 'is being woken'}"),
        heading=escape(_heading(eta)),
        seconds=eta.eta_seconds if eta.eta_seconds is not None else "",
        left=escape(_left(eta)),
        more=escape(_more(eta)),
    )
    status, retry = (
        (200, {}) if eta.ready else (503, {"retry-after": str(min(max(eta.eta_seconds or 0, refresh), LONGEST))})
    )
    return Response(text, status, retry, media_type="text/html")


def _heading(eta: Eta) -> str:
    if eta.ready:
        return f"{eta.name} is ready"
    if eta.phase in ("PoweringOn", "Booting"):
        return f"{eta.name} is on its way"
    return f"{eta.name} is being woken" if eta.wanted == "on" else f"{eta.name} is not on, and nobody has asked for it"


def _left(eta: Eta) -> str:
    if eta.ready:
        return "now"
    if eta.eta_seconds is None:
        return "a moment, please" if eta.wanted == "on" else ""
    minutes, seconds = divmod(eta.eta_seconds, 60)
    return f"about {minutes} min {seconds:02} s" if minutes else f"about {seconds} s"


def _more(eta: Eta) -> str:
    if eta.ready:
        return "This page goes on by itself."
    if eta.arrival is not None:
        return eta.arrival
    if eta.blocker is not None:
        return eta.blocker
    if eta.boot_typical_seconds is not None:
        return f"Once it is woken it takes about {eta.boot_typical_seconds:.0f} s."
    return "How long that takes is not known yet."


@cache
def _template() -> Template:
    return Template(_content("eta.html").decode())


def _content(name: str) -> bytes:
    return (files("hexa.adapters.http") / "files" / name).read_bytes()


def _file(name: str) -> Handler:
    content, headers = _content(name), {"content-type": KINDS[name]}

    async def handler(_: Request) -> Response:
        return Response(content, 200, headers)

    return handler
