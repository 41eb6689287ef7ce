"""Tasks, examples and support sets: read, cleaned with a report, sampled, examined; personal data out of texts."""

from __future__ import annotations

from fewshot_llm.data.cleaning import CleaningReport, Finding
from fewshot_llm.data.diagnosis import DoctorReport, doctor
from fewshot_llm.data.example import Example
from fewshot_llm.data.support_set import Leak, SupportSet, folds, queries, readable_rows

__all__ = [
    "CleaningReport",
    "DoctorReport",
    "Example",
    "Finding",
    "Leak",
    "SupportSet",
    "doctor",
    "folds",
    "queries",
    "readable_rows",
]
