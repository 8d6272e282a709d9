"""Models, metrics and encoders of other packages, found by their entry points."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from graphgen.errors import ConfigError

__all__ = ["load_plugin", "plugins"]


@cache
def plugins(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name, for instance of ``interest.models``.

    Raises
    ------
    ConfigError
        If two packages register one name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise ConfigError(
                f"Two packages register {point.name!r} in {group}: {other.value} and "
                f"{point.value}; uninstall one of them."
            )
    return found


def load_plugin(group: str, name: str, kind: type) -> Any:
    """Return the class of an entry point.

    Raises
    ------
    ConfigError
        If it cannot be imported, or is no subclass of `kind`.
    """
    point = plugins(group)[name]
    what = f"{name!r} of {group} ({point.value})"
    try:
        loaded = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{what} cannot be loaded: {error}.") from error
    if not (isinstance(loaded, type) and issubclass(loaded, kind)):
        raise ConfigError(f"{what} is no subclass of {kind.__name__}.")
    return loaded
