"""Signed texts: JSON Web Signatures over ES256, whole or detached from what they sign (RFC 7515).

UCP 2026-01-11 signs messages by a detached one, AP2 a checkout by a whole one. The algorithm
follows from the key, never from the header. Signing is deterministic (RFC 6979): the same words
and key give the same text, so that a hash over it stays what it is.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256

from integrations.signatures import SignatureRefused, SigningKey

_BYTES = 32
_TOKEN_MAX = 8000


def whole(key: SigningKey, payload: bytes, *, typ: str = "JWT") -> str:
    """`header.payload.signature`."""
    signed = f"{_header(key, typ=typ)}.{coded(payload)}"
    return f"{signed}.{_signature(key, signed.encode())}"


def detached(key: SigningKey, payload: bytes) -> str:
    """`header..signature`: the payload travels by itself (RFC 7515, appendix F)."""
    header = _header(key)
    return f"{header}..{_signature(key, f'{header}.{coded(payload)}'.encode())}"


def verify_detached(
    keys: Mapping[str, ec.EllipticCurvePublicKey], token: str, payload: bytes
) -> None:
    """Returns if one of `keys` signed these bytes. Raises `SignatureRefused`.

    The payload may have been signed encoded or as it is (RFC 7797, `b64: false`).
    """
    parts = token.split(".")
    if len(parts) != 3 or parts[1] or len(token) > _TOKEN_MAX:
        raise SignatureRefused("signature_invalid", "This is no detached signature")
    head, _, signature = parts
    header = _read(head)
    encoded = header.get("b64", True) is not False
    if header.get("crit", [] if encoded else None) != ([] if encoded else ["b64"]):
        raise SignatureRefused("signature_invalid", "The header asks for more than we know")
    signed = head.encode() + b"." + (coded(payload).encode() if encoded else payload)
    _check(keys, header, signed, signature)


def verify_whole(keys: Mapping[str, ec.EllipticCurvePublicKey], token: str) -> bytes:
    """The payload that one of `keys` signed. Raises `SignatureRefused`."""
    parts = token.split(".")
    if len(parts) != 3:
        raise SignatureRefused("signature_invalid", "This is no signed text")
    head, body, signature = parts
    _check(keys, _read(head), f"{head}.{body}".encode(), signature)
    return _bytes(body)


def kid_of(token: str) -> str:
    """The key that a text says it was signed with; an empty text when it names none."""
    try:
        return str(_read(token.partition(".")[0]).get("kid", ""))[:200]
    except SignatureRefused:
        return ""


def coded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise SignatureRefused("signature_invalid", "This is not base64url") from error


def _header(key: SigningKey, **more: str) -> str:
    fields = {"alg": "ES256", "kid": key.kid, **more}
    return coded(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())


def _read(head: str) -> dict[str, Any]:
    try:
        header = json.loads(_bytes(head))
    except (ValueError, RecursionError) as error:
        raise SignatureRefused("signature_invalid", "The header cannot be read") from error
    if not isinstance(header, dict):
        raise SignatureRefused("signature_invalid", "The header cannot be read")
    return header


def _signature(key: SigningKey, signed: bytes) -> str:
    made = key.private.sign(signed, ec.ECDSA(SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(made)
    return coded(r.to_bytes(_BYTES) + s.to_bytes(_BYTES))


def _check(
    keys: Mapping[str, ec.EllipticCurvePublicKey],
    header: Mapping[str, Any],
    signed: bytes,
    signature: str,
) -> None:
    key = keys.get(str(header.get("kid", "")))
    if key is None:
        raise SignatureRefused("key_not_found", "No key of this sender has that id")
    raw = _bytes(signature)
    if header.get("alg") != "ES256" or len(raw) != 2 * _BYTES:
        raise SignatureRefused("signature_invalid", "This is no ES256 signature")
    numbers = int.from_bytes(raw[:_BYTES]), int.from_bytes(raw[_BYTES:])
    try:
        key.verify(encode_dss_signature(*numbers), signed, ec.ECDSA(SHA256()))
    except InvalidSignature as error:
        raise SignatureRefused("signature_invalid", "The signature does not fit") from error
