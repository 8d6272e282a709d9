"""Interests a person can read: profiles, their changes, and what comes next."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
