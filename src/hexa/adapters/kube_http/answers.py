"""Answers of HTTP/1.1 out of the bytes of a connection. llhttp, the parser of Node.js, reads them (httptools); this is what its
callbacks make of an answer.

It does no I/O. An answer that was cut short is an error, never a shorter answer.
"""

from typing import Final

import httpcore
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

LONGEST_HEAD: Final = 100 * 1024
"""Bytes that may come before the body, with those of interim answers."""
VERSIONS: Final = ("1.1", "1.0")


class Answers:
    """The answers of one connection, one after another. What is no HTTP/1.1 raises `httpcore.RemoteProtocolError`; the connection
    is of no more use then."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._next()

    def _next(self) -> None:
        self.whole = False
        """Whether the answer has come to its end."""
        self._headed = self._stays = False
        self._before_body = self._code = 0
        self._fields: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []

    def feed(self, data: bytes | bytearray) -> None:
        """What was received next; nothing: the server has closed the connection."""
        if not data:
            return self._closed()
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.whole:
                reason = error.__context__ or error
                raise httpcore.RemoteProtocolError(f"the answer is no HTTP/1.1: {reason}") from error
            self._stays = False
        if not self._headed:
            self._before_body += len(data)
            if self._before_body > LONGEST_HEAD:
                raise httpcore.RemoteProtocolError("the headers of the answer do not end")
        return None

    def _closed(self) -> None:
        if not self._headed or self._values(b"content-length") or self._values(b"transfer-encoding"):
            raise httpcore.RemoteProtocolError("Server disconnected without sending a whole response.")
        self.whole, self._stays = True, False

    def take(self) -> tuple[httpcore.Response, bool]:
        """The answer, once it is whole, and whether the connection can be used for another request."""
        taken = httpcore.Response(self._code, headers=self._fields, content=b"".join(self._parts)), self._stays
        self._next()
        return taken

    def _values(self, name: bytes) -> list[bytes]:
        return [value.strip().lower() for each, value in self._fields if each == name]

    # --- callbacks of the parser: what one raises is the context of the error of `feed_data` ---

    def on_message_begin(self) -> None:
        """Another answer begins: the first, one after an interim answer, or one that nobody asked for."""
        if self.whole:
            raise ValueError("more than one answer to one request")
        self._fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. Those after the body are not kept."""
        if not self._headed:
            self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The headers are read. An interim answer (1xx) has nothing more; after 101 the parser itself goes no further."""
        self._code = self._parser.get_status_code()
        if self._parser.get_http_version() not in VERSIONS:
            raise ValueError("another version of HTTP")
        if self._values(b"transfer-encoding") not in ([], [b"chunked"]):
            raise ValueError("an unknown transfer encoding")
        self._headed = self._code >= 200

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._parts.append(data)

    def on_message_complete(self) -> None:
        """The answer is whole, by its length or its last chunk."""
        self.whole = self._headed
        self._stays = self._parser.should_keep_alive()
