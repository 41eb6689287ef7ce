"""Start a model server on loopback, wait until it is healthy, and stop it whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fewshot_llm.errors import ServerError
from fewshot_llm.scoring.remote.http import Http

__all__ = ["Launch", "llama_cpp", "running", "script", "transformers_serve", "vllm"]

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Launch:
    """How to start a server.

    Attributes:
        name: for messages.
        command: the program and its arguments; `{port}` stands for the port.
        health: a path that answers 200 once the server can be asked.
        env: environment variables beside those of this process.
    """

    name: str
    command: tuple[str, ...]
    health: str = "/health"
    env: Mapping[str, str] = field(default_factory=dict)


def llama_cpp(
    model: Path, lora: Path | None = None, *, exact: bool = False, context: int = 4096, threads: int | None = None
) -> Launch:
    """llama.cpp with a GGUF model and an adapter: `llama-server` where it is on the PATH, else `xllamacpp`.

    Args:
        model: the base model or a merged one.
        lora: an adapter; llama.cpp loads adapters at its start only.
        exact: attention in float32 instead of float16, to compare with float32 results.
        context: tokens.
        threads: of the computation; all cores by default.
    """
    binary = shutil.which("llama-server")
    program = (binary,) if binary else (sys.executable, "-m", "fewshot_llm.export.llama_server")
    command = (*program, "-m", str(model), "--host", HOST, "--port", "{port}", "-c", str(context))
    # Restoring a prompt from llama.cpp's cache in memory was seen to shift scores by up to 1 nat with sliding windows.
    command += ("--cache-ram", "0")
    if threads is not None:
        command += ("--threads", str(threads))
    if lora is not None:
        command += ("--lora", str(lora))
    if exact:
        command += ("-ctk", "f32", "-ctv", "f32", "-fa", "off")
    return Launch("llama.cpp", command)


def transformers_serve(folder: Path, *, dtype: str = "float32") -> Launch:
    """`transformers serve` with a merged or a decision folder, on the CPU, without the hub."""
    command = (
        *(sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve", str(folder)),
        *("--device", "cpu", "--dtype", dtype, "--host", HOST, "--port", "{port}"),
    )
    return Launch("transformers serve", command, env={"HF_HUB_OFFLINE": "1"})


def vllm(base: Path, adapter: Path, name: str, rank: int, *, python: Path, context: int = 1024) -> Launch:
    """VLLM on the CPU from its own environment.

    Its `vllm` command is passed by: in the community's CPU wheel it crashes.

    Args:
        base: the base model's folder.
        adapter: a normalised adapter folder.
        name: what requests call the adapter.
        rank: the adapter's rank.
        python: the interpreter of the environment that has vLLM.
        context: tokens.
    """
    command = (
        *(str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(base), "--host", HOST),
        *("--port", "{port}", "--dtype", "float32", "--enforce-eager", "--max-model-len", str(context)),
        *("--enable-lora", "--max-lora-rank", str(rank), "--lora-modules", f"{name}={adapter}"),
    )
    env = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "HF_HUB_OFFLINE": "1"}
    return Launch("vllm", command, env=env)


def script(path: Path, server: str, *, offline: bool = False) -> Launch:
    """A bundle's own `serve.sh`, with this environment's programs first on its path.

    Args:
        path: the script.
        server: which of its servers.
        offline: the server may not fetch anything from the hub.
    """
    own = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return Launch(
        f"{path} {server}",
        ("sh", str(path), server),
        env={"PORT": "{port}", "PYTHON": sys.executable, "PATH": own} | ({"HF_HUB_OFFLINE": "1"} if offline else {}),
    )


@contextmanager
def running(launch: Launch, *, timeout: float = 180.0) -> Iterator[str]:
    """Run a server for the length of a `with` block.

    Args:
        launch: what to start.
        timeout: seconds until it has to be healthy.

    Yields:
        Its root address, `http://127.0.0.1:PORT`.

    Raises:
        ServerError: the program is missing, ended too early, or was not healthy in time; its last lines are given.
    """
    port = _free_port()
    command = [part.replace("{port}", str(port)) for part in launch.command]
    env = {key: value.replace("{port}", str(port)) for key, value in launch.env.items()}
    with tempfile.TemporaryFile() as log, _terminated_like_ctrl_c():
        try:
            # A session of its own, so that the workers of a server end with it.
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **env}, start_new_session=True
            )
        except OSError as error:
            raise ServerError(f"{launch.name} cannot be started: {error}. Install it, or serve it elsewhere.") from None
        try:
            _wait(process, port, launch, time.monotonic() + timeout, log)
            try:
                yield f"http://{HOST}:{port}"
            except ServerError as error:
                if process.poll() is None:
                    raise
                raise ServerError(f"{launch.name} ended with code {process.returncode}. {_tail(log)}") from error
        finally:
            _stop(process)


def _wait(process: subprocess.Popen[bytes], port: int, launch: Launch, deadline: float, log: IO[bytes]) -> None:
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError(f"{launch.name} ended with code {process.returncode} before it was healthy. {_tail(log)}")
        if _healthy(port, launch.health):
            return
        time.sleep(0.1)
    raise ServerError(f"{launch.name} was not healthy in time. {_tail(log)}")


def _healthy(port: int, path: str) -> bool:
    server = Http(f"http://{HOST}:{port}", timeout=5, retries=0, send_key=False)
    try:
        return server.answers(path)
    finally:
        server.close()


@contextmanager
def _terminated_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that a server never outlives the program that started it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children: politely, then not."""
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return "Its last lines: " + " | ".join(lines[-8:]) if lines else "It printed nothing."


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
