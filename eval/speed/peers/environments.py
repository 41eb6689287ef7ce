"""Virtual environments for peers that need other library versions: `python eval/speed/peers/environments.py`."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["PEERS", "environment"]

ROOT = Path(__file__).parents[3]
PEERS = {
    "cappr": ("torch==2.13.0", "numpy<2", "transformers<4.50", "accelerate<1.5", "cappr==0.9.6"),
    "lm-eval": ("torch==2.13.0", "transformers>=5,<6", "lm-eval[hf]==0.4.13"),
}


def environment(peer: str) -> Path | None:
    """The peer's interpreter; None where its environment has not been made."""
    python = ROOT / f".venv-{peer}" / "bin" / "python"
    return python if python.exists() else None


if __name__ == "__main__":
    for name, packages in PEERS.items():
        folder = ROOT / f".venv-{name}"
        if not folder.exists():
            venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *packages], check=True)
        print(f"{name}: {folder}", file=sys.stderr)
