"""One progress bar for everything that takes more than two seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["progress_bar", "show_progress"]

_shown: ContextVar[bool] = ContextVar("shown", default=False)


@contextmanager
def show_progress(enabled: bool = True) -> Iterator[None]:
    """Show or hide the bars inside that are not switched on or off themselves.

    Examples
    --------
    >>> with show_progress(False), progress_bar("Counting", 3) as advance:
    ...     advance(3)
    """
    before = _shown.set(enabled)
    try:
        yield
    finally:
        _shown.reset(before)


@contextmanager
def progress_bar(
    description: str, total: int | None = None, *, enabled: bool | None = None
) -> Iterator[Callable[..., None]]:
    """Show a bar on standard error and give a function that moves it.

    Parameters
    ----------
    description
        Label of the bar.
    total
        Number of steps; None where it is not known, which shows the time only.
    enabled
        False gives a function that does nothing, so callers need no second path; None takes the
        value of `show_progress`, and False outside of it.

    Yields
    ------
    callable
        ``advance(steps=1, note="")``; `note` is shown behind the bar.

    Examples
    --------
    >>> with progress_bar("Counting", 3, enabled=False) as advance:
    ...     advance(3)
    """
    if not (_shown.get() if enabled is None else enabled):
        yield lambda steps=1, note="": None
        return
    from rich import console, progress

    bar = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        *([] if total is None else [progress.MofNCompleteColumn()]),
        progress.TimeElapsedColumn(),
        *([] if total is None else [progress.TextColumn("left"), progress.TimeRemainingColumn()]),
        progress.TextColumn("{task.fields[note]}", markup=False),
        console=console.Console(stderr=True),
        # A log file wants one line, not a thousand repaints.
        transient=False,
        refresh_per_second=4,
    )
    with bar:
        task = bar.add_task(description, total=total, note="")

        def advance(steps: int = 1, note: str = "") -> None:
            bar.update(task, advance=steps, note=note)

        yield advance
        if total is None:
            bar.update(task, total=1, completed=1)
