"""`serve.sh`: the exact command for each server that can take a bundle."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from fewshot_llm.export.names import Target

__all__ = ["SERVERS", "serve_script"]


SERVERS: Mapping[Target, tuple[str, ...]] = {
    Target.PEFT: ("vllm", "sglang"),
    Target.MERGED: ("vllm", "sglang", "transformers"),
    Target.GGUF_LORA: ("llama.cpp",),
    Target.GGUF_MERGED: ("llama.cpp",),
    Target.OLLAMA: ("ollama", "llama.cpp"),
    Target.DECISION: ("transformers",),
}
"""The servers that take each target, the first of them by default."""

_LORA = '--enable-lora --max-lora-rank {rank} --lora-modules {name}="$HERE"'
_LLAMA = """    # On this machine only: llama.cpp asks for no key and answers pages of any origin.
    # It loads adapters at its start; posting a path later reports success and uses none.
    # --cache-ram 0: prompts restored from its memory were seen to shift scores with sliding windows.
    set -- -m {model} {lora} --host "$HOST" --port "$PORT" --cache-ram 0
    if command -v llama-server >/dev/null; then exec llama-server "$@"; fi
    exec "$PYTHON" -m fewshot_llm.export.llama_server "$@" ;;"""

_COMMANDS: Mapping[str, str] = {
    "vllm": """    # VLLM_PYTHON: the interpreter of an environment whose `vllm` command is not on the PATH.
    set -- {model} --host "$HOST" --port "$PORT" --generation-config vllm {lora}
    if [ -n "${{VLLM_PYTHON:-}}" ]; then
      exec "$VLLM_PYTHON" -m vllm.entrypoints.openai.api_server --model "$@" ${{VLLM_ARGS:-}}
    fi
    exec vllm serve "$@" ${{VLLM_ARGS:-}} ;;""",
    "sglang": """    exec "$PYTHON" -m sglang.launch_server --model-path {model} \\
      --host "$HOST" --port "$PORT" {lora} ;;""",
    "transformers": """    # A folder is served, not a name of the hub; nothing is looked up there.
    exec env HF_HUB_OFFLINE=1 transformers serve "$HERE" --host "$HOST" --port "$PORT" \\
      --device "${{DEVICE:-cpu}}" --dtype "${{DTYPE:-float32}}" ;;""",
    "llama.cpp": _LLAMA,
    "ollama": """    ollama create {name} -f "$HERE/Modelfile"
    exec env OLLAMA_HOST="$HOST:$PORT" ollama serve ;;""",
}


def serve_script(target: Target, name: str, base: str, rank: int = 0) -> str:
    """The text of `serve.sh`.

    Args:
        target: the export's target.
        name: what requests call the adapter.
        base: the base model's folder, file or hub id, where the bundle does not hold it; BASE overrides it.
        rank: the adapter's rank.
    """
    name = shlex.quote(name)
    cases = []
    for server in SERVERS[target]:
        model, lora = '"$HERE"', ""
        if target is Target.PEFT:
            model = '"$BASE"'
            lora = _LORA.format(rank=rank, name=name)
            if server == "sglang":
                lora = f'--lora-paths {name}="$HERE" --max-lora-rank {rank}'
        elif target is Target.GGUF_LORA:
            model, lora = '"$BASE"', f'--lora "$HERE"/{name}.gguf'
        elif server == "llama.cpp":
            model = '"$HERE/model.gguf"'
        cases.append(f"  {server})\n{_COMMANDS[server].format(model=model, lora=lora, name=name)}")
    first, every = SERVERS[target][0], "|".join(SERVERS[target])
    return f"""#!/bin/sh
# Usage: sh serve.sh [{every}]
# HOST (127.0.0.1), PORT (8000), BASE (the base model) and PYTHON (python3) may be set in the environment.
set -eu
HERE=$(cd "$(dirname "$0")" && pwd)
HOST=${{HOST:-127.0.0.1}}
PORT=${{PORT:-8000}}
PYTHON=${{PYTHON:-python3}}
BASE=${{BASE:-{_default_base(base)}}}
case "${{1:-{first}}}" in
{chr(10).join(cases)}
  *)
    echo "usage: sh serve.sh [{every}]" >&2
    exit 2 ;;
esac
"""


def _default_base(base: str) -> str:
    """The default inside `${BASE:-…}`: `$HERE/…` where the bundle holds the base, else the quoted text itself."""
    return base if base.startswith("$HERE/") else shlex.quote(base)
