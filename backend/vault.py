"""Secrets at rest: merchants' outbound keys, signing secrets, kept answers; sealed with one key.

Our own keys are stored as hashes and shown once; only an answer that showed one is here, until a
repeat of its request can no longer ask for it.
"""

import base64
import hmac
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken


class VaultError(Exception):
    """A sealed value that this home's key cannot open."""


class Vault:
    """Authenticated encryption (Fernet: AES-128-CBC with HMAC-SHA256)."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)
        self._signing = hmac.digest(key, b"emptor cookies", "sha256")
        self._marking = hmac.digest(key, b"emptor marks", "sha256")

    @classmethod
    def at(cls, home: Path) -> "Vault":
        """The vault of this home; its key file is made on first use, readable by its owner only."""
        path = home / "vault.key"
        home.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return cls(path.read_bytes())
        with os.fdopen(descriptor, "wb") as file:
            file.write(key := Fernet.generate_key())
        return cls(key)

    def seal(self, secret: str) -> str:
        return self.wrap(secret.encode()).decode()

    def wrap(self, secret: bytes) -> bytes:
        return self._fernet.encrypt(secret)

    def sign(self, text: str) -> str:
        """`text` with its signature, for what a browser keeps for us."""
        return f"{text}.{self._signature(text)}"

    def signed(self, value: str) -> str | None:
        """The text that this home signed, or None when it did not."""
        text, _, signature = value.rpartition(".")
        genuine = hmac.compare_digest(signature.encode(), self._signature(text).encode())
        return text if genuine else None

    def _signature(self, text: str) -> str:
        return hmac.digest(self._signing, text.encode(), "sha256").hex()

    def mark(self, text: str) -> str:
        """`text` with our mark behind a dot: anyone may read it, only we can have written it."""
        return f"{text}.{self._mark(text)}"

    def marked(self, token: str) -> str | None:
        """The text of a token that `mark` made; None for any other."""
        text, _, mark = token.rpartition(".")
        fits = hmac.compare_digest(self._mark(text).encode(), mark.encode())
        return text if text and fits else None

    def _mark(self, text: str) -> str:
        made = hmac.digest(self._marking, text.encode(), "sha256")[:18]
        return base64.urlsafe_b64encode(made).decode()

    def open(self, sealed: str) -> str:
        """Raises `VaultError` when the value was sealed with another key."""
        return self.unwrap(sealed.encode()).decode()

    def unwrap(self, sealed: bytes) -> bytes:
        """Raises `VaultError` when the value was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as error:
            raise VaultError(
                "A stored secret was sealed with another key: restore vault.key or set it again."
            ) from error
