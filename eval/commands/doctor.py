"""`interest doctor`: checks of the installation."""

from __future__ import annotations

from typer import Exit

from eval.commands.console import say


def doctor() -> None:
    """Check the installation: packages, name collisions, the packaged BERT, the cache."""
    from graphgen.doctor import diagnose

    checks = diagnose()
    for check in checks:
        say(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.finding}")
    if not all(check.ok for check in checks):
        raise Exit(1)
