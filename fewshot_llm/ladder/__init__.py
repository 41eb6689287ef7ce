"""The ladder: rungs from cheap to costly, the evidence of each, and the decision between them.

Names are imported when they are first used: to read a decision needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
