"""The report: what a result says, as a page for people and as Markdown with the same numbers.

result → numbers (`curve`, `trust`, `confusions`, `rows`) → `Document` (sections in one language) → HTML or Markdown.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
