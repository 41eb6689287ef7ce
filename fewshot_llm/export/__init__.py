"""Export: an adapter becomes what a server loads, with a check that it answers as the toolkit does."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
