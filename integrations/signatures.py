"""HTTP message signatures (RFC 9421) over ES256, with the body bound by `Content-Digest`.

What UCP asks of both sides: method, authority, path, the body's digest and every header that says
who acts and which action it is. The algorithm follows from the key, never from the message.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
)
from http_message_signatures.algorithms import ECDSA_P256_SHA256
from http_message_signatures.exceptions import HTTPMessageSignaturesException

_CURVE = ec.SECP256R1()
_BYTES = 32
LABEL = "sig1"
# Headers that mean something: a signature that leaves one of them open is no signature.
_BOUND = ("ucp-agent", "idempotency-key", "webhook-id", "webhook-timestamp")
_BODY = ("content-digest", "content-type")


class SignatureRefused(Exception):
    """Nobody vouches for this message. `code` is the protocol's word for why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class _Message:
    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


class _Keys(HTTPSignatureKeyResolver):
    def __init__(self, public: Mapping[str, Any], private: Mapping[str, Any]) -> None:
        self._public = public
        self._private = private

    def resolve_public_key(self, key_id: str) -> Any:
        return self._public.get(key_id)

    def resolve_private_key(self, key_id: str) -> Any:
        return self._private[key_id]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A P-256 key. Its id is the thumbprint of its public half (RFC 7638)."""

    private: ec.EllipticCurvePrivateKey

    @classmethod
    def generate(cls) -> "SigningKey":
        return cls(ec.generate_private_key(_CURVE))

    @classmethod
    def from_pem(cls, text: str) -> "SigningKey":
        """Raises `ValueError` for anything but a P-256 private key in PEM."""
        key = serialization.load_pem_private_key(text.encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != _CURVE.name:
            raise ValueError("not a P-256 private key")
        return cls(key)

    def pem(self) -> str:
        return self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    @property
    def kid(self) -> str:
        return _thumbprint(self._members())

    def jwk(self) -> dict[str, str]:
        """The public half, as a profile lists it."""
        return {"kid": self.kid, **self._members(), "use": "sig", "alg": "ES256"}

    def _members(self) -> dict[str, str]:
        numbers = self.private.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _coded(numbers.x), "y": _coded(numbers.y)}


def public_keys(listed: Iterable[Any]) -> Mapping[str, ec.EllipticCurvePublicKey]:
    """The ES256 keys of a profile by id. A key of another kind is no error, only of no use."""
    found: dict[str, ec.EllipticCurvePublicKey] = {}
    for jwk in listed:
        if not isinstance(jwk, dict) or (jwk.get("kty"), jwk.get("crv")) != ("EC", "P-256"):
            continue
        try:
            x, y = _number(jwk["x"]), _number(jwk["y"])
            found[str(jwk["kid"])] = ec.EllipticCurvePublicNumbers(x, y, _CURVE).public_key()
        except (KeyError, TypeError, ValueError):
            continue
    return found


def digest(body: bytes) -> str:
    """`Content-Digest` of the raw bytes (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def sign(
    key: SigningKey, *, method: str, url: str, headers: Mapping[str, str], body: bytes | None
) -> dict[str, str]:
    """The headers to add to this request: `Signature`, `Signature-Input`, `Content-Digest`."""
    bound = {name.lower(): value for name, value in headers.items()}
    if body:
        bound["content-digest"] = digest(body)
    message = _Message(method, url, dict(bound))
    HTTPMessageSigner(
        signature_algorithm=ECDSA_P256_SHA256, key_resolver=_Keys({}, {key.kid: key.private})
    ).sign(
        message,
        key_id=key.kid,
        label=LABEL,
        include_alg=False,
        use_existing_digest=bool(body),
        covered_component_ids=_components(url, bound, body),
    )
    added = {"Signature": message.headers["Signature"]}
    added["Signature-Input"] = message.headers["Signature-Input"]
    return added | ({"Content-Digest": bound["content-digest"]} if body else {})


def verify(
    keys: Mapping[str, Any], *, method: str, url: str, headers: Mapping[str, str], body: bytes
) -> None:
    """Returns if one of `keys` signed this request whole. Raises `SignatureRefused`.

    `url` is the address that the sender was told; how old the message is is the caller's to judge.
    """
    seen = {name.lower(): value for name, value in headers.items()}
    if "signature" not in seen or "signature-input" not in seen:
        raise SignatureRefused("signature_missing", "The request carries no signature")
    if body and seen.get("content-digest") != digest(body):
        raise SignatureRefused("digest_mismatch", "Content-Digest does not fit the body")
    verifier = HTTPMessageVerifier(
        signature_algorithm=ECDSA_P256_SHA256, key_resolver=_Keys(keys, {})
    )
    try:
        found = verifier.verify(
            _Message(method, url, seen),
            max_age=None,
            require_components=_components(url, seen, body),
        )
    except (InvalidSignature, HTTPMessageSignaturesException, ValueError, TypeError) as error:
        raise SignatureRefused("signature_invalid", "The signature does not fit") from error
    if not found:
        raise SignatureRefused("signature_missing", "The request carries no signature")


def key_id(headers: Mapping[str, str]) -> str:
    """The key that a request says it was signed with; an empty text when it names none."""
    said = next((v for k, v in headers.items() if k.lower() == "signature-input"), "")
    return said.partition('keyid="')[2].partition('"')[0][:200]


def _components(url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[str, ...]:
    query = ("@query",) if "?" in url else ()
    bound = tuple(name for name in _BOUND if name in headers)
    return ("@method", "@authority", "@path", *query, *bound, *(_BODY if body else ()))


def _thumbprint(members: Mapping[str, str]) -> str:
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).decode().rstrip("=")


def _coded(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(_BYTES)).decode().rstrip("=")


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
