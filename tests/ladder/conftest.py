"""The estimators' labelled texts."""

from __future__ import annotations

from tests.conftest import reviews

__all__ = ["reviews"]
