"""LoRA on the support set: recipes, the packed forward pass, the trainer, cross-fitting."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
