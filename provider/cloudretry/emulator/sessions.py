"""What the emulator has issued, and seen once already: tokens, temporary keys, nonces."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal

from cloudretry.emulator.credentials import CREDENTIALS
from cloudretry.emulator.store import Transaction

__all__ = ["KeyPair", "Token", "claim_nonce", "find_key", "find_token", "issue_key", "issue_token"]

Cloud = Literal["huaweicloud", "alicloud"]

_NONCE_LIFETIME = 1800.0
_FOREVER = 253_402_300_799.0  # the last second of the year 9999


@dataclass(frozen=True, slots=True)
class Token:
    """A Keystone token; without a project it is good for the whole domain only. Times are seconds since the epoch."""

    text: str
    project_id: str | None
    issued_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An access key. A temporary one is good only together with its ``security_token``, until ``expires_at``."""

    access_key: str
    secret_key: str
    security_token: str | None = None
    project_id: str | None = None
    expires_at: float = _FOREVER


_FIXED: tuple[tuple[Cloud, KeyPair], ...] = (
    ("huaweicloud", KeyPair(CREDENTIALS.access_key, CREDENTIALS.secret_key)),
    (
        "huaweicloud",
        KeyPair(CREDENTIALS.temporary_access_key, CREDENTIALS.temporary_secret_key, CREDENTIALS.security_token),
    ),
    ("alicloud", KeyPair(CREDENTIALS.alicloud_access_key, CREDENTIALS.alicloud_secret_key)),
    (
        "alicloud",
        KeyPair(
            CREDENTIALS.alicloud_temporary_access_key,
            CREDENTIALS.alicloud_temporary_secret_key,
            CREDENTIALS.alicloud_security_token,
        ),
    ),
)
_FIXED_KEYS = {(cloud, pair.access_key): pair for cloud, pair in _FIXED}


def issue_token(tx: Transaction, project_id: str | None, lifetime: float) -> Token:
    """A new token for a project, or for the domain. ``lifetime`` is in seconds."""
    token = Token("MII" + secrets.token_urlsafe(180), project_id, tx.now, tx.now + lifetime)
    tx.execute("DELETE FROM tokens WHERE expires_at < ?", (tx.now - 86_400,))
    tx.execute(
        "INSERT INTO tokens VALUES (?, ?, ?, ?)", (token.text, token.project_id, token.issued_at, token.expires_at)
    )
    return token


def find_token(tx: Transaction, text: str) -> Token | None:
    """The token if it was issued here, expired or not."""
    if secrets.compare_digest(text.encode(), CREDENTIALS.token.encode()):
        return Token(text, CREDENTIALS.project_id, tx.now, _FOREVER)
    row = tx.execute("SELECT * FROM tokens WHERE token = ?", (text,)).fetchone()
    return None if row is None else Token(*row)


def issue_key(tx: Transaction, cloud: Cloud, project_id: str | None, lifetime: float) -> KeyPair:
    """A new temporary key. ``lifetime`` is in seconds."""
    pair = KeyPair(
        access_key=("STS." if cloud == "alicloud" else "HST") + secrets.token_hex(10).upper(),
        secret_key=secrets.token_urlsafe(30),
        security_token=secrets.token_urlsafe(120),
        project_id=project_id,
        expires_at=tx.now + lifetime,
    )
    tx.execute("DELETE FROM temporary_keys WHERE expires_at < ?", (tx.now - 86_400,))
    tx.execute(
        "INSERT INTO temporary_keys VALUES (?, ?, ?, ?, ?, ?)",
        (cloud, pair.access_key, pair.secret_key, pair.security_token, pair.project_id, pair.expires_at),
    )
    return pair


def find_key(tx: Transaction, cloud: Cloud, access_key: str) -> KeyPair | None:
    """The key pair if this cloud knows it, expired or not."""
    if (cloud, access_key) in _FIXED_KEYS:
        return _FIXED_KEYS[cloud, access_key]
    row = tx.execute(
        "SELECT access_key, secret_key, security_token, project, expires_at FROM temporary_keys "
        "WHERE cloud = ? AND access_key = ?",
        (cloud, access_key),
    ).fetchone()
    return None if row is None else KeyPair(*row)


def claim_nonce(tx: Transaction, nonce: str) -> bool:
    """Whether this nonce is seen for the first time."""
    tx.execute("DELETE FROM nonces WHERE seen_at < ?", (tx.now - _NONCE_LIFETIME,))
    return tx.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?)", (nonce, tx.now)).rowcount == 1
