"""Our ids: a readable prefix and 96 random bits. Opaque to everyone else."""

import secrets


def new_id(prefix: str) -> str:
    """`new_id("usr")` → `usr_` and 24 hex digits."""
    return f"{prefix}_{secrets.token_hex(12)}"
