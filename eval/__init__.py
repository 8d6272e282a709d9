"""Evaluation of predicted links: protocols, metrics, uncertainty, reports.

Importing this package costs nothing: names are loaded when they are first used.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
