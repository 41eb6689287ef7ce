"""`python -m fewshot_llm` is `fewshot-llm`."""

from __future__ import annotations

from fewshot_llm.cli import main

if __name__ == "__main__":
    main()
