"""Tasks, examples and support sets: read, cleaned with a report, sampled, examined; personal data out of texts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
