"""The bundle: an export with everything that belongs to it, written whole or not at all.

peft        adapter_config.json, adapter_model.safetensors
merged      a Hugging Face folder
gguf-lora   NAME.gguf, and base.gguf where the base model did not come as a GGUF file
gguf-merged model.gguf
ollama      model.gguf, Modelfile
decision    a Hugging Face folder, adapter/, decision.json, decision_template.jinja

Beside them in every bundle: bundle.json, fewshot.json, task.toml, the template, calibration.json, golden.json,
certificate.json, README.md, SHA256SUMS, and serve.sh with the exact command for each server that can take the bundle;
NOTICE where the base model's terms ask for one.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from fewshot_llm.artifacts.record import NOTICE, RECORD, ClassificationRecord
from fewshot_llm.data import Example
from fewshot_llm.data.task import Task
from fewshot_llm.errors import ExportError, nearest
from fewshot_llm.export import words as w
from fewshot_llm.export.adapter import merge, normalise, served_rank, write_adapter, write_merged
from fewshot_llm.export.certificate import CERTIFICATE, Certificate, Golden, record_golden, write_golden
from fewshot_llm.export.decision_model import decision_prompt, write_decision
from fewshot_llm.export.gguf import MODEL, write_gguf_lora, write_gguf_model, write_ollama
from fewshot_llm.export.servers import Storage, Target
from fewshot_llm.export.source import ExportSource, read_source
from fewshot_llm.files import atomic_write_json, atomic_write_text, sha256_file
from fewshot_llm.files.atomic import atomic_folder
from fewshot_llm.models.cache import read_record
from fewshot_llm.models.licence import notice
from fewshot_llm.models.load import LanguageModel, load_model
from fewshot_llm.models.trust import is_elsewhere
from fewshot_llm.types import Text

__all__ = [
    "BUNDLE",
    "SERVERS",
    "TEMPLATE",
    "BundleRecord",
    "changed_files",
    "export_classifier",
    "file_hashes",
    "read_bundle",
    "require_own_script",
    "serve_script",
    "write_bundle",
]

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
    exec "$PYTHON" -m fewshot_llm.export.servers "$@" ;;"""

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


def _task_toml(task: Task) -> str:
    """The task as `load_task` reads it."""
    values = task.model_dump(mode="json", exclude={"folder"})
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]
    lines += _table("instruction", values["instruction"])
    for language, words in values["label_words"].items():
        lines += _table(f"label_words.{_key(language)}", words)
    for language, texts in values["label_descriptions"].items():
        lines += _table(f"label_descriptions.{_key(language)}", texts)
    lines += _table("examples", values["examples"])
    return "\n".join(lines) + "\n"


def _table(name: str, values: Mapping[str, Any]) -> list[str]:
    rows = [f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return ["", f"[{name}]", *rows] if rows else []


def _key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _bundle_card(bundle: BundleRecord, record: ClassificationRecord, besides: Sequence[Text]) -> str:
    """The bundle's `README.md`, in English and Chinese."""
    calibration = record.calibrations[0].calibration
    return w.CARD.format(
        base=record.base.name,
        language=record.prompt.language,
        name=bundle.name,
        task=record.task.name,
        target=bundle.target,
        commands="\n".join(f"sh serve.sh {server}" for server in SERVERS[bundle.target]),
        words="\n".join(f"| {label} | {text} |" for label, text in record.prompt.label_words.items()),
        revision=record.base.revision,
        sha256=bundle.base_sha256,
        temperature=calibration.temperature,
        bias="" if calibration.keeps_order else f" {w.BIAS_AT_CLIENT.en} {w.BIAS_AT_CLIENT.zh}",
        mended="\n".join(f"- {note.en} {note.zh}" for note in bundle.mended or (w.NOTHING_MENDED,)),
        besides="".join(f"\n{note.en}\n\n{note.zh}\n" for note in besides),
    )


BUNDLE, SUMS, TEMPLATE = "bundle.json", "SHA256SUMS", "template.jinja"
BASE_GGUF = "base.gguf"
_MUTABLE = (SUMS, CERTIFICATE)


class BundleRecord(BaseModel):
    """What `bundle.json` holds.

    Attributes:
        target: what was exported to.
        name: what requests call the adapter.
        base: the base model's name, folder or hub id.
        base_sha256: of its weights.
        base_quantised: whether the bundle is served on a quantised base.
        rank: the adapter's rank as served; 0 for merged targets.
        mended: what normalising changed.
        left_out: what the saved folder answers with besides, and a server cannot do.
        decision: for the target `decision`, what stands around a text: start and end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    target: Target
    name: str
    base: str
    base_sha256: str
    base_quantised: bool = False
    rank: int = 0
    mended: tuple[Text, ...] = ()
    left_out: tuple[Text, ...] = ()
    decision: tuple[str, str] | None = None

    @field_validator("mended", mode="before")
    @classmethod
    def _of_earlier_versions(cls, notes: Any) -> Any:
        """Earlier versions wrote English sentences."""
        return [Text(note, note) if isinstance(note, str) else note for note in notes]


@dataclass(frozen=True)
class _Written:
    """What writing a target's own files told."""

    mended: tuple[Text, ...] = ()
    rank: int = 0
    served_base: str = ""
    base_quantised: bool = False
    decision: tuple[str, str] | None = None


def write_bundle(
    source: ExportSource,
    target: Target,
    folder: Path,
    *,
    rows: Iterable[Example] = (),
    storage: Storage = Storage.F32,
    overwrite: bool = False,
) -> BundleRecord:
    """Export an adapter.

    Args:
        source: the adapter with its base model.
        target: what for.
        folder: the new bundle; must not exist, be empty, or be a bundle that may be replaced.
        rows: texts of the task for golden prompts, beside the adversarial ones; the demonstrations are always taken.
        storage: number format of GGUF matrices.
        overwrite: replace a bundle.

    Raises:
        ExportError: the target cannot express the adapter, the model or the labels.
        AdapterError: `folder` is in use.
    """
    model = source.load()
    with atomic_folder(folder, owned=BUNDLE, overwrite=overwrite) as partial:
        written = _write_target(source, model, target, partial, storage)
        record = BundleRecord(
            target=target,
            name=source.name,
            base=source.base.name,
            base_sha256=source.base.sha256,
            base_quantised=written.base_quantised or storage is not Storage.F32,
            rank=written.rank,
            mended=written.mended,
            left_out=source.left_out,
            decision=written.decision,
        )
        golden = record_golden(source, model, [*source.support, *rows])
        _write_common(source, record, golden, written.served_base, partial)
    return record


def export_classifier(
    adapter: str | os.PathLike[str] | None,
    support: Iterable[Example],
    target: str,
    folder: Path,
    *,
    overwrite: bool = False,
) -> BundleRecord:
    """`write_bundle` for a classifier's adapter folder, with its support rows among the golden prompts.

    Raises:
        ExportError: no adapter, one that training did not record, or an unknown target.
    """
    if adapter is None or not (Path(adapter) / RECORD).is_file():
        raise ExportError(
            "This classifier has no trained adapter in a folder to export. One that was trained here is saved first: "
            "classifier.save(folder), and FewShotClassifier.load(folder).export(…). Else train one with `fewshot-llm "
            "tune`, or serve the base model and give its address as the model."
        )
    if target not in list(Target):
        raise ExportError(f"There is no export target {target!r}. {nearest(target, Target)}")
    return write_bundle(read_source(Path(adapter)), Target(target), folder, rows=support, overwrite=overwrite)


def _write_target(
    source: ExportSource, model: LanguageModel, target: Target, folder: Path, storage: Storage
) -> _Written:
    base = _servable_base(source)
    match target:
        case Target.PEFT:
            done = normalise(source.adapter, source.base)
            write_adapter(done.adapter, folder)
            return _Written(done.mended, int(done.adapter.config["r"]), base)
        case Target.MERGED:
            write_merged(model, folder)
            return _Written()
        case Target.GGUF_LORA:
            mended = write_gguf_lora(source.adapter, source.base, folder / f"{source.name}.gguf")
            rank = served_rank(max(pair.rank for pair in source.adapter.pairs.values()))
            if (gguf := _base_gguf(source)) is not None:
                return _Written(mended, rank, str(gguf), base_quantised=True)
            plain = load_model(source.base.source, device="cpu", dtype="float32")
            write_gguf_model(plain.model, plain.tokenizer, folder / BASE_GGUF, storage)
            return _Written(mended, rank, f"$HERE/{BASE_GGUF}")
        case Target.GGUF_MERGED:
            write_gguf_model(merge(model), model.tokenizer, folder / MODEL, storage)
            return _Written()
        case Target.OLLAMA:
            write_ollama(model, folder, "\n", storage)
            return _Written()
        case Target.DECISION:
            prompt = decision_prompt(source, model)
            mended = write_decision(source, model, folder)
            start = prompt.start.removeprefix(model.tokenizer.bos_token or "")
            return _Written(mended, decision=(start, prompt.end + prompt.cut))


def _servable_base(source: ExportSource) -> str:
    """A folder or a hub id that another process can load the base model from."""
    path = Path(source.base.name).expanduser()
    return source.base.name if not path.exists() and "/" in source.base.name else str(source.base.folder.resolve())


def _base_gguf(source: ExportSource) -> Path | None:
    """The file that the base model was converted from; it stays the one that is served."""
    record = read_record(source.base.folder)
    path = source.base.folder / record.gguf.name if record is not None else None
    return path.resolve() if path is not None and path.is_file() else None


def _write_common(source: ExportSource, record: BundleRecord, golden: Golden, base: str, folder: Path) -> None:
    atomic_write_json(folder / BUNDLE, record.model_dump(mode="json"))
    if record.target is not Target.PEFT or not (folder / RECORD).exists():
        atomic_write_text(folder / RECORD, source.record.model_dump_json(indent=1) + "\n")
    atomic_write_text(folder / "task.toml", _task_toml(source.record.task))
    atomic_write_text(folder / TEMPLATE, source.template)
    atomic_write_json(folder / "calibration.json", source.record.calibrations[0].model_dump(mode="json"))
    write_golden(golden, folder)
    script = folder / "serve.sh"
    atomic_write_text(script, serve_script(record.target, record.name, base, record.rank))
    script.chmod(0o755)
    told = notice([source.base.name])
    if told:
        atomic_write_text(folder / NOTICE, told)
    besides = [*record.left_out, *([w.HAS_TERMS] if told else [])]
    atomic_write_text(folder / "README.md", _bundle_card(record, source.record, besides))
    hashes = file_hashes(folder)
    atomic_write_text(folder / SUMS, "".join(f"{digest}  {name}\n" for name, digest in hashes.items()))
    Certificate(
        target=record.target,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        passed=None,
        reason=w.NOT_ASKED.en,
        reason_zh=w.NOT_ASKED.zh,
        hashes=hashes,
        versions=source.record.versions,
    ).write(folder)


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of a bundle's files by name, without those that change when it is verified."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    return {name: sha256_file(folder / name) for name in names if name not in _MUTABLE}


def read_bundle(folder: Path) -> BundleRecord:
    """Read `bundle.json`.

    Raises:
        ExportError: the folder is no bundle, or its record is damaged.
    """
    path = folder / BUNDLE
    try:
        return BundleRecord.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError:
        raise ExportError(f"{folder} is no bundle: it has no {BUNDLE}. Give a folder that `export` wrote.") from None
    except (ValueError, ValidationError) as error:
        raise ExportError(f"{path} is damaged ({str(error)[:200]}). Export again.") from None


def require_own_script(script: Path, bundle: BundleRecord) -> None:
    """Refuse to start a `serve.sh` that is not, letter for letter, what `export` writes for such a bundle.

    Raises:
        ExportError: it says something else, or starts its server with an address.
    """
    text = script.read_text(encoding="utf-8") if script.is_file() else ""
    found = re.search(r"^BASE=\$\{BASE:-(.*)\}$", text, re.MULTILINE)
    try:
        base = " ".join(shlex.split(found[1])) if found else ""
    except ValueError:
        base = ""
    risky = any(is_elsewhere(name) or name.startswith("-") for name in (base, bundle.name))
    if risky or text != serve_script(bundle.target, bundle.name, base, bundle.rank):
        raise ExportError(
            f"{script} is not the script that `export` writes for this bundle: changed, or of another version. It is "
            "not run unasked. Read it, and allow it with --allow-scripts (allow_scripts=True in Python); or start the "
            "server yourself and give its address with --url; or export the adapter again."
        )


def changed_files(folder: Path) -> Sequence[str]:
    """Names of the bundle's files that are missing, or not as `SHA256SUMS` says."""
    path = folder / SUMS
    if not path.is_file():
        return (SUMS,)
    lines = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return tuple(
        name for digest, name in lines if not (folder / name).is_file() or sha256_file(folder / name) != digest
    )
