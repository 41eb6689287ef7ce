"""The labelled rows: read, cleaned with a report, sampled, split, examined."""

from __future__ import annotations

from fewshot_llm.support.cleaning import CleaningReport
from fewshot_llm.support.diagnosis import DoctorReport, doctor
from fewshot_llm.support.example import Example
from fewshot_llm.support.finding import Finding
from fewshot_llm.support.splitting import folds
from fewshot_llm.support.supportset import Leak, SupportSet, queries, readable_rows

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
