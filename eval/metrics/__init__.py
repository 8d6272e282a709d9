"""Metrics, each in one small class that states its conventions; loaded when first used."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
