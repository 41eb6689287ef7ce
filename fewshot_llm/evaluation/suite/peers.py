"""Other people's ways of doing the same work, each a script in a process (and where needed an environment) of its own.

A script is called as `python SCRIPT WORK.json ANSWERS.json`. It learns from `support` and labels `test`:

    WORK.json     {"support": [{"text": …, "label": …}, …], "test": [text, …], "labels": [label, …], "seed": 0,
                   "support_prompts": [{"text": …, "answers": [words, …]}, …], "test_prompts": […],
                   "model_folder": …, "recipe": {…}}
    ANSWERS.json  {"probabilities": [[one per label], …], "fit_seconds": 1.2, "predict_seconds": 0.3, "versions": {…}}

The last four are only given to peers that train a language model.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from fewshot_llm.errors import FewshotError, TaskError, nearest
from fewshot_llm.types import FloatArray

__all__ = ["Peer", "PeerAnswers", "PeerError", "load_peers", "pick_peer", "run_peer"]


class PeerError(FewshotError):
    """A peer that is not installed, or failed."""


class Peer(BaseModel):
    """A peer of `peers.toml`.

    Attributes:
        about: what it is.
        environment: the folder of its virtual environment, two folders above `peers.toml`: in the checkout of the
            shipped ones; empty for this one.
        arguments: further arguments of the script.
        script: its file, relative to `peers.toml`.
        trains_model: it trains the suite's language models, one cell for each.
        folder: where `peers.toml` is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str
    script: str
    environment: str = ""
    arguments: tuple[str, ...] = ()
    trains_model: bool = False
    folder: Path

    @property
    def home(self) -> Path:
        """The folder of its virtual environment."""
        return self.folder.parents[1] / self.environment

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.home / "bin" / "python" if self.environment else Path(sys.executable)


class PeerAnswers(BaseModel):
    """What a script writes; shape of `probabilities`: [test rows, labels]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probabilities: list[list[float]]
    fit_seconds: float
    predict_seconds: float
    versions: dict[str, str] = {}

    @property
    def log_probabilities(self) -> FloatArray:
        """Natural logarithms, shape [test rows, labels]."""
        table = np.asarray(self.probabilities, dtype=np.float64)
        found: FloatArray = np.log(np.maximum(table, np.finfo(np.float64).tiny))
        return found


def load_peers(folder: Path) -> dict[str, Peer]:
    """The peers that `peers.toml` in a folder lists.

    Raises:
        TaskError: it is missing or malformed.
    """
    path = folder / "peers.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: Peer(**peer, folder=folder.absolute()) for name, peer in table["peers"].items()}
    except FileNotFoundError:
        raise TaskError(f"The suite names peers, and there is no {path} that lists them.") from None
    except (tomllib.TOMLDecodeError, ValidationError, KeyError, TypeError) as error:
        raise TaskError(f"{path} is malformed: {error}") from error


def pick_peer(peers: Mapping[str, Peer], name: str) -> Peer:
    """One of the peers.

    Raises:
        TaskError: there is none of that name.
    """
    if name not in peers:
        raise TaskError(f"There is no peer {name!r}. {nearest(name, peers)}")
    return peers[name]


def run_peer(peer: Peer, work: Mapping[str, Any]) -> PeerAnswers:
    """Let a peer learn and answer.

    Args:
        peer: which one.
        work: as the module's docstring says.

    Raises:
        PeerError: its environment is not there, or the script failed or answered something else.
    """
    if not peer.python.is_file():
        maker = peer.folder / "environments.py"
        todo = (
            f"make it with `python {shlex.quote(str(maker))} {peer.environment}`"
            if maker.is_file()
            else f"make a virtual environment there, with the packages that {peer.script} imports"
        )
        raise PeerError(f"{peer.home} is not there; {todo}.")
    with tempfile.TemporaryDirectory() as folder:
        question, answers = Path(folder) / "work.json", Path(folder) / "answers.json"
        question.write_text(json.dumps(work, ensure_ascii=False), encoding="utf-8")
        command = [str(peer.python), str(peer.folder / peer.script), str(question), str(answers), *peer.arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
        if done.returncode or not answers.is_file():
            last = "\n".join(done.stderr.strip().splitlines()[-3:]) or "it wrote no answers"
            raise PeerError(f"{peer.script} failed (exit code {done.returncode}): {last}")
        try:
            found = PeerAnswers.model_validate_json(answers.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise PeerError(f"{peer.script} wrote something other than answers: {error}") from error
    shape = np.shape(found.probabilities)
    if shape != (len(work["test"]), len(work["labels"])):
        raise PeerError(f"{peer.script} gave probabilities of shape {shape} for {len(work['test'])} test rows.")
    return found


def _environment() -> dict[str, str]:
    """This process's, with the hub's libraries kept offline: a peer measures what is installed."""
    return {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONIOENCODING": "utf-8"}
