"""The committed results of real servers keep what is promised, and the documentation shows them as they are."""

from __future__ import annotations

import pytest

from eval.certify.table import DOCUMENT, results, table

CELLS = [(document, asked) for document in results() for asked in document["servers"]]


@pytest.mark.parametrize(("document", "asked"), CELLS, ids=lambda value: value if isinstance(value, str) else "")
def test_labels_agree_on_a_real_server(document, asked):
    found = document["servers"][asked]
    assert found["rows"] >= 200
    least = 0.97 if found["base"] == "quantised" else 0.99
    if "certificate" in found:
        assert found["certificate"]["passed"]
        assert found["labels_agree"] >= least
    else:
        assert found["texts_agree"] >= least


def test_every_server_was_measured():
    assert {asked.partition(":")[0] for _, asked in CELLS} == {"llama.cpp", "transformers", "vllm"}
    assert len({document["base"] for document, _ in CELLS}) == 2


def test_the_documentation_shows_these_results():
    assert table(results()) in DOCUMENT.read_text(encoding="utf-8")
