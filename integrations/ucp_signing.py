"""Which signature a version of UCP asks for.

2026-04-08 signs the whole request by RFC 9421. 2026-01-11 has `Request-Signature`, a detached one
over the body alone: whatever stands only in a header of such a message is nobody's word.
"""

from collections.abc import Mapping
from typing import Any

from integrations.jws import detached, kid_of, verify_detached
from integrations.signatures import SigningKey, key_id, sign, verify
from integrations.ucp_requests import OLD

HEADER = "Request-Signature"


def signed(
    version: str,
    key: SigningKey,
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
) -> Mapping[str, str]:
    """The headers to add to a request in this version."""
    if version == OLD:
        return {HEADER: detached(key, body or b"")}
    return sign(key, method=method, url=url, headers=headers, body=body)


def body_only(headers: Mapping[str, str]) -> bool:
    """Whether a message is signed in the old way, so that its headers prove nothing."""
    names = {name.lower() for name in headers}
    return HEADER.lower() in names and "signature" not in names


def signer(headers: Mapping[str, str]) -> str:
    """The key that a message says it was signed with; an empty text when it names none."""
    return kid_of(_detached(headers)) if body_only(headers) else key_id(headers)


def check(
    version: str,
    keys: Mapping[str, Any],
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
) -> None:
    """Returns if one of `keys` signed this as its sender's version asks. Raises `SignatureRefused`.

    Who speaks the newer version must sign the whole: a body cut out of an old message is refused.
    """
    if version == OLD and body_only(headers):
        verify_detached(keys, _detached(headers), body)
    else:
        verify(keys, method=method, url=url, headers=headers, body=body)


def _detached(headers: Mapping[str, str]) -> str:
    return next(v for k, v in headers.items() if k.lower() == HEADER.lower())
