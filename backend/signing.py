"""The key that signs what we send by UCP: made once for a home, sealed by its vault.

Every process of a home signs with the same key, and a restart changes nothing for the merchants
who have read our profile.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from backend.vault import Vault
from integrations.signatures import SigningKey


def signing_key(home: Path, vault: Vault) -> SigningKey:
    """This home's key, made on first use. Raises `VaultError` when another vault sealed it."""
    path = home / "ucp-signing.key"
    if not path.exists():
        draft = path.with_suffix(f".{secrets.token_hex(4)}.tmp")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(vault.seal(SigningKey.generate().pem()))
        with suppress(FileExistsError):  # another process was first: its key is the home's
            os.link(draft, path)
        draft.unlink()
    return SigningKey.from_pem(vault.open(path.read_text()))
