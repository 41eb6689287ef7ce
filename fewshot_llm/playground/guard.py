"""Who may open the page, and what the page may fetch.

Without a token only names of the loopback are answered, and only to pages of the loopback: a web page elsewhere can
neither point its own name at 127.0.0.1 (DNS rebinding) nor send something there. With one, the address that is printed
carries it once, and a cookie afterwards. Every answer tells the browser to fetch nothing from anywhere else: the page
works without a network, and says nothing to one.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

__all__ = ["Guard", "is_loopback"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

COOKIE = "fewshot_llm_token"

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)
"""gradio's page starts with inline scripts and compiles templates; nothing of it needs another origin."""


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Guard:
    """An ASGI application around another one.

    Args:
        app: what is guarded.
        token: what a visitor has to know; None for visitors from this machine only.
    """

    def __init__(self, app: App, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        cookie = SimpleCookie(headers.get("cookie", ""))
        remembered = cookie[COOKIE].value if COOKIE in cookie else ""
        if not self._welcome(headers.get("host", ""), headers.get("origin", ""), given, remembered):
            await _refuse(scope, send)
            return
        extra = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
        if given and self.token is not None:
            extra.append((b"set-cookie", f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Strict".encode()))

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        await self.app(scope, receive, with_headers)

    def _welcome(self, host: str, origin: str, given: str, remembered: str) -> bool:
        if self.token is None:
            return _local(f"//{host}") and (not origin or _local(origin))
        # compare_digest: the time an answer takes must not tell how much of a guess is right.
        return any(hmac.compare_digest(known.encode(), self.token.encode()) for known in (given, remembered))


def _local(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:  # not an address at all
        return False


async def _refuse(scope: Message, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403})
        return
    body = (
        "Open the address that `fewshot-llm play` has printed; it carries the token.\n"
        "请打开 fewshot-llm play 打印的地址，里面带有令牌。\n"
    ).encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
