"""`HubSource`: a data set of the Hugging Face hub, streamed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fewshot_llm.batch.changes import Change
from fewshot_llm.batch.rows import InputRow, Problem
from fewshot_llm.errors import BatchError
from fewshot_llm.files import Note
from fewshot_llm.models.trust import open_data_set

__all__ = ["HubSource"]

ADDRESS = re.compile(r"hub:(?P<name>[^@#:]+)(?:@(?P<revision>[^#:]+))?(?:#(?P<config>[^:]+))?(?::(?P<split>.+))?")


@dataclass(frozen=True)
class HubSource:
    """One split of a hub data set (or of a local data set folder), read while it is fetched.

    Attributes:
        name: `owner/name`, or a folder that `datasets.load_dataset` understands.
        revision: a commit; without it two runs may read different rows, so a resumed run should name one.
        config: the data set's configuration, where it has several.
        split: `train` by default.
    """

    name: str
    revision: str | None = None
    config: str | None = None
    split: str = "train"

    @classmethod
    def parse(cls, address: str) -> HubSource:
        """From `hub:NAME[@REVISION][#CONFIG][:SPLIT]`.

        >>> HubSource.parse("hub:shop/reviews@1a2b3c#zh:test")
        HubSource(name='shop/reviews', revision='1a2b3c', config='zh', split='test')
        """
        match = ADDRESS.fullmatch(address)
        if match is None:
            raise BatchError(f"{address!r} names no hub data set. Expected hub:NAME[@REVISION][#CONFIG][:SPLIT].")
        return cls(match["name"], match["revision"], match["config"], match["split"] or "train")

    def rows(self) -> Iterator[InputRow]:
        """Every row; where the stream breaks off, the last row carries the reason."""
        position = 0
        stream = iter(self._open())
        while True:
            try:
                values = next(stream)
            except StopIteration:
                return
            except (OSError, ValueError) as error:
                reason = f"The rest of the data set cannot be read: {' '.join(str(error).split())[:200]}."
                yield InputRow(position, self.name, position + 1, {}, Problem("file-broke-off", reason))
                return
            yield InputRow(position, self.name, position + 1, values)
            position += 1

    def count(self) -> int:
        """Rows in all: from the data set's card, else by reading it once."""
        split = (self._open().info.splits or {}).get(self.split)
        known = getattr(split, "num_examples", 0)
        return int(known) if known else sum(1 for _ in self.rows())

    def notes(self) -> tuple[Note, ...]:
        """Nothing: a data set says how it is read."""
        return ()

    def identity(self) -> list[dict[str, Any]]:
        """Name, revision, configuration and split."""
        return [{"hub": self.name, "revision": self.revision, "config": self.config, "split": self.split}]

    def schema(self) -> Any | None:
        """The data set's features as an Arrow schema, where they are declared."""
        features = self._open().features
        return None if features is None else features.arrow_schema.remove_metadata()

    def changes(self) -> list[Change]:
        """None: a revision does not change."""
        return []

    def _open(self) -> Any:
        try:
            return open_data_set(self.name, self.config, self.split, self.revision, streaming=True)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise BatchError(f"The data set {self.name} (split {self.split}) cannot be opened: {reason}") from error
