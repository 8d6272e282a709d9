"""Who may ask, and what a browser may do with the answer."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from pathlib import Path
from typing import Final

from graphgen.errors import ConfigError, InputError

__all__ = ["COOKIE", "HEADERS", "Token", "bearer", "is_local", "read_token"]

COOKIE: Final = "interest_session"
# Signs that a token must have at least.
SHORTEST: Final = 16
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def is_local(host: str) -> bool:
    """Return whether a host is this machine only.

    Examples
    --------
    >>> is_local("127.0.0.1"), is_local("localhost"), is_local("0.0.0.0")
    (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_token(path: str | Path) -> str:
    """Read the token of a file, its first line.

    Raises
    ------
    InputError, ConfigError
        If the file cannot be read; if the token is too short to be a secret.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The token file {path} cannot be read: {error}.") from error
    token = lines[0].strip() if lines else ""
    if len(token) < SHORTEST:
        raise ConfigError(
            f"The token in {path} has {len(token)} signs, and needs at least {SHORTEST}; make one "
            'by: python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    return token


def bearer(authorization: str) -> str:
    """Return the token of a header; "" without any.

    Examples
    --------
    >>> bearer("Bearer abc"), bearer("Basic abc")
    ('abc', '')
    """
    kind, _, token = authorization.partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


class Token:
    """The token that requests must bring, in a header or as the cookie of a session."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        key = secrets.token_bytes(32)
        self.session = hmac.new(key, self._token, hashlib.sha256).hexdigest()

    def accepts(self, token: str) -> bool:
        """Compare a token in constant time."""
        return hmac.compare_digest(token.encode(), self._token)

    def admits(self, authorization: str, cookie: str) -> bool:
        """Return whether a request's header or cookie is right."""
        return self.accepts(bearer(authorization)) or hmac.compare_digest(
            cookie.encode(), self.session.encode()
        )
