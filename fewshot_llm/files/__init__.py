"""Reading and writing: rows in every format, files that are whole or absent."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
