"""A page to try a task on: label, see why, correct, watch the accuracy, edit the prompt, tune.

`session` is all the logic and knows nothing of a page; `page` lays it out with gradio (extra `[play]`); `serve` decides
who may open it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
