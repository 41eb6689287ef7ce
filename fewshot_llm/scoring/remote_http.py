"""JSON over HTTP to one model server: time-outs, retries with back-off, connections kept open.

The standard library is enough here: a scorer sends small JSON bodies to one host and needs neither streams nor
redirects, so no HTTP package becomes a dependency. `http.client` follows no redirect, which also means that a key is
never sent to another host.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import time
import weakref
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fewshot_llm.errors import ServerError

__all__ = ["API_KEY", "Address", "Http", "parse_address"]

API_KEY = "FEWSHOT_API_KEY"
"""The environment variable that holds the server's key."""

_WORTH_RETRYING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Address:
    """Where a server is.

    Attributes:
        root: scheme, host and port, for example `http://127.0.0.1:8000`.
        prefix: path of the OpenAI-compatible routes, usually `/v1`.
        model: the served model's or adapter's name; empty takes the server's first.
    """

    root: str
    prefix: str
    model: str


def parse_address(text: str) -> Address:
    """Read `http://host:port/v1#NAME`.

    >>> parse_address("http://127.0.0.1:8000/v1#intents")
    Address(root='http://127.0.0.1:8000', prefix='/v1', model='intents')

    Raises:
        ServerError: no http or https address, or one with a user name or password in it.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServerError(f"{text!r} is no server address. Expected http://HOST:PORT/v1#NAME.")
    if "@" in parts.netloc:
        raise ServerError(f"The address of {parts.hostname} holds a user name or password. Set {API_KEY} instead.")
    return Address(f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/") or "/v1", parts.fragment)


class Http:
    """A server that is asked from several threads, over connections that are kept open and used again.

    Args:
        root: scheme, host and port.
        timeout: seconds without an answer before a try counts as failed.
        retries: further tries after a refused connection, a time-out, or a status that says "later".
        back_off: seconds before the second try; doubles each time, with jitter.
    """

    def __init__(self, root: str, timeout: float = 120.0, retries: int = 4, back_off: float = 0.25) -> None:
        self.root = root
        self.timeout = timeout
        self.retries = retries
        self.back_off = back_off
        # Appending to and popping from a list are atomic, so that no lock is needed.
        self._idle: list[http.client.HTTPConnection] = []
        self._closing = weakref.finalize(self, _close_all, self._idle)

    def close(self) -> None:
        """Close the idle connections; also done when the object is let go."""
        _close_all(self._idle)

    def get(self, path: str) -> Any | None:
        """The JSON at a path; None where the server has no such route, or none that gives JSON."""
        status, text = self._send("GET", path, None)
        if status != 200:
            return None
        try:
            return json.loads(text)
        except ValueError:
            return None

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON answer to a JSON body.

        Raises:
            ServerError: no answer after all tries, or an answer that is an error; the server's own words are given.
        """
        status, text = self._send("POST", path, json.dumps(body))
        if status != 200:
            raise ServerError(f"{self.root}{path} answered {status}: {_gist(text)}")
        try:
            return json.loads(text)
        except ValueError:
            raise ServerError(f"{self.root}{path} answered no JSON: {_gist(text)}") from None

    def _send(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        problem = ""
        for attempt in range(self.retries + 1):
            wait = self.back_off * 2**attempt * (0.5 + random.random())
            try:
                status, text, later = self._once(method, path, body)
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            else:
                if status not in _WORTH_RETRYING:
                    return status, text
                problem = f"status {status}: {_gist(text)}"
                wait = max(wait, later)
            if attempt < self.retries:
                time.sleep(wait)
        raise ServerError(
            f"{self.root} gave no answer in {self.retries + 1} tries ({problem}). Check that the server runs, that the "
            "address is right, and that it has finished loading."
        )

    def _once(self, method: str, path: str, body: str | None) -> tuple[int, str, float]:
        """Status, text, and the seconds that the server asks to wait."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key := os.environ.get(API_KEY):
            headers["Authorization"] = f"Bearer {key}"
        connection = self._take()
        try:
            connection.request(method, path, body=None if body is None else body.encode(), headers=headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return response.status, text, _retry_after(response)

    def _take(self) -> http.client.HTTPConnection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.root)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(str(parts.hostname), parts.port, timeout=self.timeout)


def _close_all(connections: list[http.client.HTTPConnection]) -> None:
    while connections:
        connections.pop().close()


def _retry_after(response: http.client.HTTPResponse) -> float:
    value = response.getheader("Retry-After") or ""
    return min(float(value), 60.0) if value.isdigit() else 0.0


def _gist(text: str) -> str:
    """The start of a server's error, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:297] + "…"
