"""Logging in to Redfish: by the Basic scheme with each request, or by a session, for services that take its token only.

A controller has few sessions: one is opened when it is needed, used for all questions, and closed with the driver.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import trio

from hexa.adapters.power.context import Context
from hexa.adapters.power.http_client import NOBODY, Answer, Client, Header, credentials, said
from hexa.adapters.power.measurements import dig
from hexa.domain.errors import HexaError

ROOT: Final = "/redfish/v1/"
SESSIONS: Final = "/redfish/v1/SessionService/Sessions"
LOGOUT_WITHIN: Final = 3.0
"""Seconds that closing a session may take."""

NONE_FREE: Final = ("maximum", "limit", "exceed", "no free", "too many")
"""Words of a controller that has no session free and says so with status 400 or 403."""
FULL: Final = "createlimitreachedforresource"
"""The same in the words of the standard (DMTF Base registry), which name no session."""


@asynccontextmanager
async def open_login(
    client: Client, context: Context, *, secret: str, mode: Literal["auto", "basic", "session"]
) -> AsyncIterator["Login"]:
    """Questions with credentials. A session that was needed is closed at the end."""
    login = Login(client, context, secret=secret, mode=mode)
    try:
        yield login
    finally:
        with trio.move_on_after(LOGOUT_WITHIN, shield=True):
            await login.close()


class Login:
    """Asks with whatever credentials the service takes."""

    def __init__(self, client: Client, context: Context, *, secret: str, mode: str) -> None:
        self._client, self._context, self._secret, self._mode = client, context, secret, mode
        self._token = self._place = ""
        self._denied = False
        """Basic was refused already: without sessions, what it was given is wrong."""

    def __repr__(self) -> str:
        return f"<Login {self._context.address}{' by session' if self._token else ''}>"

    async def ask(self, method: str, path: str, *, json: Any = None) -> Answer:
        """The answer, whatever its status. Raises as `Client.ask` does."""
        if self._sessions_only:
            return await self._by_session(method, path, json)
        answer = await self._client.exchange(method, path, json=json)
        if answer.status != 401 or self._mode == "basic" or not self._secret or _takes_basic(answer):
            return self._client.allowed(answer)
        self._denied = True
        answer = await self._by_session(method, path, json)
        self._context.memory.by_session.add(self._context.address)
        return answer

    @property
    def _sessions_only(self) -> bool:
        known = self._context.address in self._context.memory.by_session
        return bool(self._secret) and (
            self._mode == "session" or (self._mode == "auto" and (known or bool(self._token)))
        )

    async def _by_session(self, method: str, path: str, json: Any) -> Answer:
        had_one = bool(self._token)
        answer = await self._with_token(method, path, json)
        if answer.status == 401 and had_one:  # it has ended: another one, once
            self._token = ""
            answer = await self._with_token(method, path, json)
        return self._client.allowed(answer)

    async def _with_token(self, method: str, path: str, json: Any) -> Answer:
        if not self._token:
            await self._open()
        return await self._client.exchange(method, path, json=json, auth=Header("X-Auth-Token", self._token))

    async def _open(self) -> None:
        self._token = self._place = ""
        name, password = credentials(self._context, self._secret)
        answer = await self._log_in(SESSIONS, name, password)
        if answer.status in (404, 405) and (elsewhere := await self._sessions()):
            answer = await self._log_in(elsewhere, name, password)
        token = answer.headers.get("x-auth-token", "")
        if not answer.ok or not token:
            raise self._refused(answer)
        self._context.spoken.add(token)
        self._token = token
        self._place = _place(answer)

    async def _log_in(self, path: str, name: str, password: str) -> Answer:
        return await self._client.exchange("POST", path, json={"UserName": name, "Password": password}, auth=NOBODY)

    async def _sessions(self) -> str:
        """Where the service has its sessions, by its root, which needs no password."""
        answer = await self._client.exchange("GET", ROOT, auth=NOBODY)
        return str(dig(answer.json(), "Links", "Sessions", "@odata.id") or "")

    def _refused(self, answer: Answer) -> HexaError:
        text, words = answer.text.lower(), self._context.quoted(said(answer.json()))
        full = "session" in text and any(word in text for word in NONE_FREE)
        if answer.status in (400, 403) and (full or FULL in text):
            remedy = "try again later, and close sessions that nobody uses"
            return self._context.unavailable("it has no session free", remedy, reason="Busy")
        if answer.status in (400, 401, 403) or (self._denied and answer.status in (404, 405)):
            remedy = "correct the Secret that secretName names"
            return self._context.refused(f"the user or the password is wrong{words}", remedy, reason="BadCredentials")
        return self._client.odd(answer, "the login")

    async def close(self) -> None:
        """Log out, if there is a session; one that can't be closed ends by itself."""
        token, self._token = self._token, ""
        if token and self._place:
            with suppress(HexaError):
                await self._client.exchange("DELETE", self._place, auth=Header("X-Auth-Token", token))


def _place(answer: Answer) -> str:
    """Where the session is, on the controller that was asked: some write its URL with a name or a scheme of their own, some not
    from its root on."""
    told = str(answer.headers.get("location") or dig(answer.json(), "@odata.id") or "")
    try:
        path = urlsplit(told).path
    except ValueError:
        return ""
    return path if path.startswith("/") or not path else f"{SESSIONS}/{path.rstrip('/').rpartition('/')[2]}"


def _takes_basic(answer: Answer) -> bool:
    """Whether it asks for the Basic scheme, so that what it was given is wrong. No second try: accounts are locked after a few."""
    return "basic" in answer.headers.get("www-authenticate", "").lower()
