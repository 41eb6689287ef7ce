"""What answers: a prompt with its scorer, support set and calibration, and what is read off it out of fold."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
