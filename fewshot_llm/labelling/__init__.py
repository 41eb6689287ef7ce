"""Rows that a person labels: which are worth it, files of labelled rows, standing replies."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
