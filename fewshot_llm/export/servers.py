"""The servers that take an export: their names, how one is started on loopback and stopped whatever happens.

    python -m fewshot_llm.export.servers -m base.gguf --lora adapter.gguf --host 127.0.0.1 --port 8080

is llama.cpp's own HTTP server from the package `xllamacpp`, for machines without a `llama-server` binary. It
understands the few flags of `llama-server` that a bundle's `serve.sh` uses.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO

from fewshot_llm.errors import ServerError

__all__ = [
    "Launch",
    "Server",
    "Storage",
    "Target",
    "llama_cpp",
    "main",
    "running",
    "script",
    "transformers_serve",
    "vllm",
]


class Target(StrEnum):
    """What an adapter is exported to."""

    PEFT = "peft"
    MERGED = "merged"
    GGUF_LORA = "gguf-lora"
    GGUF_MERGED = "gguf-merged"
    OLLAMA = "ollama"
    DECISION = "decision"


class Server(StrEnum):
    """The programs that may be given an adapter, at the versions whose sources the linter's rules were read from."""

    VLLM = "vllm"  # 0.32
    SGLANG = "sglang"  # 0.5.23
    LLAMA_CPP = "llama.cpp"
    OLLAMA = "ollama"  # the route that takes safetensors; a GGUF is llama.cpp's column
    TRANSFORMERS = "transformers"  # `transformers serve` 5.24
    TGI = "tgi-lorax"  # in maintenance mode and dormant: rows to read, nothing is built for them


class Storage(StrEnum):
    """Number format of a GGUF file's matrices; norms and biases are always float32."""

    F32 = "f32"
    F16 = "f16"
    Q8_0 = "q8_0"


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
    program = (binary,) if binary else (sys.executable, "-m", "fewshot_llm.export.servers")
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
    from fewshot_llm.scoring.remote.http import Http  # the names above are read without it

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


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until the process is told to end.

    Raises:
        ServerError: `xllamacpp` is not installed.
    """
    parser = argparse.ArgumentParser(prog="llama-server", description="llama.cpp's server from the package xllamacpp.")
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--lora", action="append", default=[])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("-c", "--ctx-size", type=int, default=0)
    parser.add_argument("-np", "--parallel", type=int, default=1)
    # As llama-server itself reads it; all cores without it.
    parser.add_argument("-t", "--threads", type=int, default=int(os.environ.get("LLAMA_ARG_THREADS", "0")))
    parser.add_argument("-ctk", "--cache-type-k", choices=("f16", "f32"), default="f16")
    parser.add_argument("-ctv", "--cache-type-v", choices=("f16", "f32"), default="f16")
    parser.add_argument("-fa", "--flash-attn", choices=("auto", "off"), default="auto")
    parser.add_argument("--cache-ram", type=int, default=8192)
    options = parser.parse_args(argv)
    try:
        import xllamacpp
    except ImportError:
        raise ServerError(
            "There is no llama.cpp here. Install it with `pip install fewshot-llm[llamacpp]`, or put a llama-server "
            "on the PATH."
        ) from None

    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in options.lora]
    params.hostnames = [options.host]
    params.port = options.port
    params.n_ctx = options.ctx_size
    params.n_parallel = options.parallel
    if options.threads:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    types = {"f16": xllamacpp.ggml_type.GGML_TYPE_F16, "f32": xllamacpp.ggml_type.GGML_TYPE_F32}
    params.cache_type_k, params.cache_type_v = types[options.cache_type_k], types[options.cache_type_v]
    if options.flash_attn == "off":
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_ram_mib = options.cache_ram
    # Whoever can reach the port may ask anything: pages of other origins are kept out, and so is the web page.
    params.cors_origins, params.ui = "", False

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server = xllamacpp.Server(params)
    print(f"listening on {server.listening_address}", flush=True)
    stop.wait()


if __name__ == "__main__":
    main()
