"""Export: an adapter becomes what a server loads, with a check that it answers as the toolkit does."""

from __future__ import annotations

__all__: list[str] = []
