"""Options of a call of `fit` that do not change the result: checkpoint and progress."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from graphgen.config import Config

__all__ = ["FitOptions"]


class FitOptions(Config):
    """Options of one call of `fit`; none of them changes the result."""

    checkpoint: Path | None = None
    """Folder to write resumable state to, and to resume from."""
    progress: bool = False
    """Show progress bars."""

    def stage(self, name: str) -> Self:
        """Return the options of one of several fits, with a separate checkpoint."""
        if self.checkpoint is None:
            return self
        return self.replace(checkpoint=self.checkpoint.with_name(f"{self.checkpoint.name}-{name}"))
