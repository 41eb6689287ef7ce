"""Few-shot text work for online shops with causal language models: labels are scored, never parsed.

The names that most programs need are here; each is imported when it is first used, so that `import fewshot_llm`
takes no time.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
