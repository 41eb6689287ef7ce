"""JSON over HTTP to one model server that is not believed: bounded in time and bytes, and its answers are checked.

httpx2's connection pool (`httpcore2`) is used at the level where sockets are read: `httpx2.Client` bounds every single
read, and a server that sends a byte now and then, in its headers too, would never be cut off. Here all reads and
writes of a request share one deadline. Nothing is taken from the environment but certificates: no proxy, no `.netrc`.
Redirects are not followed, so that texts and the key stay with the address that was typed.
"""

from __future__ import annotations

import math
import random
import re
import threading
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpcore2
import httpx2
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import to_json

from fewshot_llm.errors import ServerError
from fewshot_llm.models.trust import API_KEY, key_for

__all__ = ["API_KEY", "Address", "Http", "ServerAnswer", "parse_address"]

T = TypeVar("T")
_ANY: Any = Any
"""The shape of an answer that the caller checks."""

_WORTH_RETRYING = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_SUCH_ROUTE = frozenset({404, 405, 501})
_MOST_BYTES = 64 << 20
_KEEP_ALIVE = 30.0
_CHECKERS: dict[Any, TypeAdapter[Any]] = {}
"""By shape, made once: building one takes longer than using it."""


class ServerAnswer(BaseModel):
    """What a server tells: types are not coerced, and what is not asked for is ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


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
    wrong = ServerError(f"{_without_login(text)!r} is no server address. Expected http://HOST:PORT/v1#NAME.")
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError):
        raise wrong from None
    if url.scheme not in ("http", "https") or not url.host:
        raise wrong
    if url.userinfo or "@" in url.netloc.decode("ascii"):
        raise ServerError(f"The address of {url.host} holds a user name or password. Set {API_KEY} instead.")
    return Address(f"{url.scheme}://{url.netloc.decode('ascii')}", url.path.rstrip("/") or "/v1", url.fragment)


def _without_login(text: str) -> str:
    return re.sub(r"//[^/]*@", "//…@", text)


class Http:
    """A server that is asked from several threads, over connections that are kept open and used again.

    Args:
        root: scheme, host and port.
        timeout: seconds in which a request has to be answered whole, all its tries and pauses together.
        retries: further tries after a lost connection, or a status that says "later".
        back_off: seconds before the second try; doubles each time, with jitter. A longer `Retry-After` is heeded.
        most_bytes: of an answer, also after it is unpacked.
        insecure: allow that the key is sent in clear to another machine.
        send_key: send the key; False for a server whose address nobody typed.

    Raises:
        ServerError: the key would be sent in clear to another machine.
    """

    def __init__(
        self,
        root: str,
        timeout: float = 120.0,
        retries: int = 4,
        back_off: float = 0.25,
        *,
        most_bytes: int = _MOST_BYTES,
        insecure: bool = False,
        send_key: bool = True,
    ) -> None:
        url = httpx2.URL(root)
        self.root = root
        self.timeout = timeout
        self.retries = retries
        self.back_off = back_off
        self.most_bytes = most_bytes
        self._key = key_for(url.scheme, url.host, insecure=insecure) if send_key else None
        self._origin = (url.raw_scheme, url.raw_host, url.port)
        self._headers = [(b"Host", url.netloc), (b"Accept", b"application/json"), (b"Accept-Encoding", b"identity")]
        if self._key is not None:
            self._headers.append((b"Authorization", f"Bearer {self._key}".encode("ascii")))
        self._clock = _Clock()
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context() if url.scheme == "https" else None,
            max_connections=None,
            keepalive_expiry=_KEEP_ALIVE,
            network_backend=_Backend(self._clock),
        )

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def __del__(self) -> None:
        if hasattr(self, "_pool"):
            self._pool.close()

    def post(self, path: str, body: dict[str, Any], shape: type[T] = _ANY) -> T:
        """The checked answer to a JSON body.

        Raises:
            ServerError: no whole answer after all tries or in time, an error, or an answer of another shape; the
                beginning of what the server said is given.
        """
        status, told = self._send("POST", path, to_json(body))
        return self._read(path, status, told, shape)

    def get(self, path: str, shape: type[T] = _ANY) -> T | None:
        """The checked answer of a route; None where the server has no such route.

        Raises:
            ServerError: as for `post`.
        """
        status, told = self._send("GET", path, None)
        return None if status in _NO_SUCH_ROUTE else self._read(path, status, told, shape)

    def probe(self, path: str, shape: type[T]) -> T | None:
        """The answer of a route that only one kind of server has; None where it is another's.

        Raises:
            ServerError: the server does not answer, or refuses the key.
        """
        status, told = self._send("GET", path, None)
        if status in (401, 403):
            raise self._refused(path, status, told)
        try:
            return _checker(shape).validate_json(told) if status == 200 else None
        except ValidationError:
            return None

    def answers(self, path: str) -> bool:
        """Whether a route answers with status 200 at once."""
        try:
            return self._send("GET", path, None)[0] == 200
        except ServerError:
            return False

    def _read(self, path: str, status: int, told: bytes, shape: type[T]) -> T:
        if status != 200:
            raise self._refused(path, status, told)
        try:
            return _checker(shape).validate_json(told)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "json_invalid":
                raise ServerError(f"{self.root}{path} answered no JSON: {self._gist(told)}") from None
            at = ".".join(map(str, first["loc"])) or "the whole"
            raise ServerError(
                f"{self.root}{path} answered in another form than expected ({at}: {first['msg']}): {self._gist(told)}"
            ) from None

    def _refused(self, path: str, status: int, told: bytes) -> ServerError:
        if 300 <= status < 400:
            cure = (
                "It points to another address. Redirects are not followed, so that no text and no key goes elsewhere; "
                "give the address itself if you trust it."
            )
        elif status in (401, 403):
            cure = (
                f"It does not accept the key in {API_KEY}."
                if self._key
                else f"It wants a key. Set {API_KEY} and give its address again."
            )
        elif status in _NO_SUCH_ROUTE:
            cure = "It has no such route or model. Check the address, and the name after #."
        else:
            cure = ""
        return ServerError(f"{self.root}{path} answered {status}: {self._gist(told)} {cure}".rstrip())

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        """Status and body of the first try that is worth no other.

        Raises:
            ServerError: none of them, or not in time.
        """
        until = self._clock.until = time.monotonic() + self.timeout
        problem = ""
        for attempt in range(self.retries + 1):
            wait = self.back_off * 2**attempt * (0.5 + random.random())
            try:
                status, told, later = self._once(method, path, body)
            except httpcore2.TimeoutException:
                raise self._late(path, problem) from None
            except (OSError, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
                problem = self._clean(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
            else:
                if status not in _WORTH_RETRYING:
                    return status, told
                problem = f"status {status}: {self._gist(told)}"
                wait = max(wait, later)
            if attempt < self.retries:
                if time.monotonic() + wait >= until:
                    raise self._late(path, f"{problem}; the next try would come in {wait:,.0f} s")
                time.sleep(wait)
        raise ServerError(
            f"{self.root} gave no answer in {self.retries + 1} tries ({problem}). Check that the server runs, that the "
            "address is right, and that it has finished loading."
        )

    def _late(self, path: str, problem: str) -> ServerError:
        reason = f"TimeoutError; {problem}" if problem else "TimeoutError"
        return ServerError(
            f"{self.root}{path} gave no whole answer within {self.timeout:g} s ({reason}). It hangs, is overloaded or "
            "still loading. Try again later, or allow more time (timeout=… of RemoteScorer)."
        )

    def _once(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes, float]:
        """Status, body, and the seconds that the server asks to wait."""
        headers = self._headers
        if body is not None:
            headers = [*headers, (b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(body))]
        scheme, host, port = self._origin
        url = httpcore2.URL(scheme=scheme, host=host, port=port, target=path.encode("ascii", "replace"))
        with self._pool.stream(method, url, headers=headers, content=body) as response:
            told = self._collect(path, response.iter_stream())
        fields = {name.lower(): value.decode("latin-1") for name, value in response.headers}
        if 300 <= response.status < 400:
            told = f"to {fields.get(b'location', 'nowhere')}".encode()
        return response.status, self._unpacked(path, told, fields.get(b"content-encoding", "")), _retry_after(fields)

    def _collect(self, path: str, chunks: Iterable[bytes]) -> bytes:
        told = bytearray()
        for chunk in chunks:
            told += chunk
            if len(told) > self.most_bytes:
                raise self._too_long(path)
            if time.monotonic() > self._clock.until:
                raise httpcore2.ReadTimeout
        return bytes(told)

    def _unpacked(self, path: str, told: bytes, coding: str) -> bytes:
        """The body as JSON text: some servers pack it although they are asked not to."""
        coding = coding.strip().lower()
        if coding in ("", "identity"):
            return told
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise ServerError(
                f"{self.root}{path} answered in the coding {self._clean(coding)!r}, which was not asked for."
            )
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            plain = unpacker.decompress(told, self.most_bytes + 1)
        except zlib.error as error:
            raise ServerError(f"{self.root}{path} answered something that cannot be unpacked ({error}).") from None
        if len(plain) > self.most_bytes:
            raise self._too_long(path)
        return plain

    def _too_long(self, path: str) -> ServerError:
        return ServerError(
            f"{self.root}{path} sent more than {self.most_bytes:,} bytes and was cut off. Is it the right server?"
        )

    def _gist(self, told: bytes) -> str:
        """The start of a server's answer, on one line."""
        line = self._clean(told[:2000].decode("utf-8", "replace"))
        return line if len(line) <= 300 else line[:297] + "…"

    def _clean(self, text: str) -> str:
        """Without the key, which a server may repeat, and without what would steer a terminal."""
        text = text.replace(self._key, "…") if self._key else text
        return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _checker(shape: type[T]) -> TypeAdapter[T]:
    if shape not in _CHECKERS:
        _CHECKERS[shape] = TypeAdapter(shape)
    return _CHECKERS[shape]


def _retry_after(fields: dict[bytes, str]) -> float:
    """Seconds that a server asks to wait, told as a number or as a date."""
    value = fields.get(b"retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value) if len(value) < 12 else math.inf
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


class _Clock(threading.local):
    """When the request that this thread is at has to be answered."""

    until: float = math.inf

    def left(self, error: type[httpcore2.TimeoutException]) -> float:
        left = self.until - time.monotonic()
        if left <= 0:
            raise error
        return left


class _Stream(httpcore2.NetworkStream):
    """A connection whose every read and write ends at the deadline of the request."""

    def __init__(self, inner: httpcore2.NetworkStream, clock: _Clock) -> None:
        self._inner, self._clock = inner, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._clock.left(httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), 1 << 16):
            self._inner.write(buffer[start : start + (1 << 16)], self._clock.left(httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = self._clock.left(httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore2.SyncBackend):
    def __init__(self, clock: _Clock) -> None:
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore2.NetworkStream:
        left = self._clock.left(httpcore2.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, left, local_address, socket_options), self._clock)
