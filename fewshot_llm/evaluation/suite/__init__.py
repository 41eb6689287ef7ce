"""Suites: the same tasks, support draws and methods, measured cell by cell."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
