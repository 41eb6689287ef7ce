"""Who may open the page. The guard stands before an application of one line."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import pytest

from fewshot_llm.errors import FewshotError
from fewshot_llm.playground import AccessMiddleware, PageAddress, is_loopback, listen

TOKEN = "a-long-secret"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


async def inner(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


def visit(token: str | None, host: str, query: str = "", cookie: str = "", origin: str = "") -> Answer:
    """One request, as a server hands it to an ASGI application."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    given = {"host": host, "cookie": cookie, "origin": origin}
    headers = [(name.encode(), value.encode()) for name, value in given.items() if value]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": query.encode(), "headers": headers}
    asyncio.run(AccessMiddleware(inner, token)(scope, receive, send))
    start, body = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], found, body["body"].decode())


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "localhost", "[::1]:7860", "[::1]", "127.0.0.1"])
def test_this_machine_needs_no_token(host: str) -> None:
    answer = visit(None, host)
    assert (answer.status, answer.body) == (200, "in")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("host", ["evil.example:7860", "192.168.0.7", "localhost.evil.example", "", "0.0.0.0:7860"])
def test_another_name_for_this_machine_is_refused(host: str) -> None:
    answer = visit(None, host)
    assert answer.status == 403
    assert "令牌" in answer.body


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://127.0.0.1:7860", 200), ("http://[::1]:7860", 200), ("https://evil.example", 403), ("null", 403)],
)
def test_a_page_elsewhere_may_send_nothing(origin: str, status: int) -> None:
    assert visit(None, "127.0.0.1:7860", origin=origin).status == status


def test_the_token_is_needed_once() -> None:
    host = "192.168.0.7:7860"
    assert visit(TOKEN, host).status == 403
    assert visit(TOKEN, host, "token=a-long-secre").status == 403
    assert visit(TOKEN, host, cookie="fewshot_llm_token=wrong").status == 403
    first = visit(TOKEN, host, f"token={TOKEN}")
    assert first.status == 200
    assert {"HttpOnly", "SameSite=Strict"} <= set(first.headers["set-cookie"].split("; "))
    assert visit(TOKEN, host, cookie=first.headers["set-cookie"].partition(";")[0]).body == "in"


def test_a_socket_is_refused_too() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(AccessMiddleware(inner, TOKEN)({"type": "websocket", "headers": [], "query_string": b""}, None, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_an_address_that_others_reach_gets_a_token() -> None:
    assert PageAddress().token is None
    made = [PageAddress("0.0.0.0").token, PageAddress("0.0.0.0").token, PageAddress("192.168.0.7").token]
    assert all(token and len(token) > 20 for token in made)
    assert len(set(made)) == 3
    assert PageAddress("0.0.0.0", token=TOKEN).token == TOKEN
    with pytest.raises(FewshotError, match="8 characters"):
        PageAddress(token="short")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/"),
        ("::1", "http://[::1]:8000/"),
        ("0.0.0.0", f"http://127.0.0.1:8000/?token={TOKEN}"),
    ],
)
def test_what_to_open(host: str, url: str) -> None:
    assert PageAddress(host, token=None if is_loopback(host) else TOKEN).url(8000) == url


def test_a_taken_port_is_said() -> None:
    with listen(PageAddress(port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FewshotError, match=f"{port}.*--port"):
            listen(PageAddress(port=port))


def test_somebody_elses_address_is_said() -> None:
    with pytest.raises(FewshotError, match="--host"):
        listen(PageAddress("203.0.113.1", port=0, token=TOKEN))
