"""The estimators' labelled texts."""

from __future__ import annotations

from tests.estimators.conftest import reviews

__all__ = ["reviews"]
