"""Progress on a terminal: rows, rows per second, time left. Elsewhere nothing is printed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar, Task

    from fewshot_llm.models.pull import PullProgress
    from fewshot_llm.types import Progress

__all__ = ["row_progress", "step_progress", "waiting"]


@contextmanager
def row_progress(what: str, unit: str = "rows") -> Iterator[Progress | None]:
    """Yields a callback for (done, total), or None where standard error is not a terminal.

    Args:
        what: what is going on, for example `Labelling`.
        unit: what is counted; speed is shown as `unit/s`.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} {unit}/s" if task.speed else f"-- {unit}/s", style="green")

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    bar: Bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        Speed(),
        TextColumn("time left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=0)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def step_progress(what: str) -> Iterator[PullProgress | None]:
    """Yields a callback for (what is being done, done, total): a bar on a terminal, else None.

    The bar appears with the first step: what comes before it may be a question (a model's terms), which a bar
    would draw over.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True)
    task = bar.add_task(what, total=None)

    def show(message: str, done: int, total: int) -> None:
        bar.start()
        bar.update(task, description=f"{what}: {message}", completed=done, total=total)

    try:
        yield show
    finally:
        bar.stop()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Shows a spinner while something of unknown length runs, for example `Loading gemma3-270m`."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield
