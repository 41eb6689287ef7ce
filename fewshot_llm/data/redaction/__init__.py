"""Personal data out of texts, before a model, a file or a log sees them.

What has a check digit is believed only with the right one, so that order numbers stay: phone numbers by the
numbering plans of `phonenumbers`, resident IDs, cards, IBANs and social security numbers by `python-stdnum`. What has
none (passports, chat ids, names) is found beside the words that announce it, addresses by the words they are made
of. A name alone is not found: no pattern tells it from other words.

A placeholder is a kind and a number, `[PHONE_1]`, counted within one row: the same number twice in a row is the
same placeholder, nothing can be computed back from it, and it does not depend on any other row. Needs
`pip install fewshot-llm[redact]`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
