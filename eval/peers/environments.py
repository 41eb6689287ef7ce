"""Make the peers' virtual environments: `python eval/peers/environments.py [NAME ...]`, all of them by default."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main(names: list[str]) -> int:
    table = tomllib.loads((Path(__file__).parent / "peers.toml").read_text(encoding="utf-8"))
    environments: dict[str, list[str]] = table["environments"]
    unknown = set(names) - set(environments)
    if unknown:
        print(f"No environment {', '.join(sorted(unknown))}; known: {', '.join(environments)}", file=sys.stderr)
        return 2
    for name in names or environments:
        folder = ROOT / name
        if not (folder / "bin" / "python").exists():
            venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *environments[name]], check=True)
        print(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
