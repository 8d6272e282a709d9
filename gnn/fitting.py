"""What a call of `fit` is given beside the data: validation, checkpoint, progress."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from graphgen.config import Config

if TYPE_CHECKING:
    from graphgen.log import InteractionLog

__all__ = ["FitOptions", "Monitor"]


class Monitor(Protocol):
    """Validation during training: rows that are never trained on, and a figure to raise."""

    truth: InteractionLog

    def __call__(self, model: Any) -> float:
        """Return the validation metric of the model as it stands; higher is better."""
        ...


class FitOptions(Config):
    """How one call of `fit` runs; nothing in here changes what is learned."""

    checkpoint: Path | None = None
    """Folder to write resumable state to, and to resume from."""
    progress: bool = False
    """Show progress bars."""
