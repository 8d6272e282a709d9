"""Configuration classes: frozen, typed, and strict about names."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import pydantic

from graphgen.errors import ConfigError, near_miss

__all__ = ["Config", "parse_assignments", "read_toml"]


class Config(pydantic.BaseModel):
    """Base of every configuration: immutable, and an unknown key is an error with a suggestion.

    Examples
    --------
    >>> class Demo(Config):
    ...     epochs: int = 10
    >>> Demo.make(epochs=3).epochs
    3
    >>> Demo.make(epoch=3)
    Traceback (most recent call last):
        ...
    graphgen.errors.ConfigError: Demo has no setting 'epoch'; did you mean 'epochs'?
    """

    # The docstring below a field is its description, which help texts print.
    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True
    )

    @classmethod
    def make(cls, base: Mapping[str, Any] | None = None, /, **overrides: Any) -> Self:
        """Build from a mapping and keyword overrides.

        Parameters
        ----------
        base
            Settings by name, for instance read from TOML.
        **overrides
            Settings that win over `base`.

        Raises
        ------
        ConfigError
            If a key is unknown (the message names the near miss) or a value is out of range.
        """
        values = {**(base or {}), **overrides}
        for key in values:
            if key not in cls.model_fields:
                known = ", ".join(cls.model_fields) or "none at all"
                hint = near_miss(key, cls.model_fields, f"it has {known}.")
                raise ConfigError(f"{cls.__name__} has no setting {key!r}; {hint}")
        try:
            return cls(**values)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise ConfigError(
                f"{cls.__name__}: {name}: {first['msg']}; got {first['input']!r}."
            ) from None

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some settings changed, validated like a new one."""
        return self.make(self.to_dict(), **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved settings as plain JSON types."""
        return self.model_dump(mode="json")


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file into a mapping.

    Raises
    ------
    ConfigError
        If the file is missing or is not TOML; the message holds the line.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"No configuration file at {path}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Turn ``["epochs=20", "name=x"]`` into typed settings: JSON where it parses, else text.

    Examples
    --------
    >>> parse_assignments(["epochs=20", "encoder=none", "resume=true"])
    {'epochs': 20, 'encoder': 'none', 'resume': True}
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"A setting is written NAME=VALUE; got {assignment!r}.")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        settings[name.strip()] = value
    return settings
