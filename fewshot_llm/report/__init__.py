"""The report: what a result says, as a page for people and as Markdown with the same numbers.

result → numbers (`curve`, `trust`, `confusions`, `rows`) → `Document` (sections in one language) → HTML or Markdown.
"""
