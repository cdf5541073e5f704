"""Signed texts: what was signed is read back, and nothing else is believed."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.jws import coded, detached, kid_of, verify_detached, verify_whole, whole
from integrations.signatures import SignatureRefused, SigningKey, public_keys

OURS, THEIRS = SigningKey.generate(), SigningKey.generate()
KEYS = public_keys([OURS.jwk()])


def refused(token: str, payload: bytes) -> str:
    with pytest.raises(SignatureRefused) as error:
        verify_detached(KEYS, token, payload)
    return error.value.code


@given(st.binary(max_size=300))
def test_what_was_signed_is_read_back_and_signing_again_says_the_same(payload: bytes):
    assert verify_whole(KEYS, whole(OURS, payload)) == payload
    assert whole(OURS, payload) == whole(OURS, payload)
    verify_detached(KEYS, detached(OURS, payload), payload)


def test_another_body_key_or_algorithm_is_refused():
    token = detached(OURS, b"{}")
    assert refused(token, b"{ }") == "signature_invalid"
    assert refused(detached(THEIRS, b"{}"), b"{}") == "key_not_found"
    head, _, signature = token.split(".")
    fields = json.loads(base64.urlsafe_b64decode(head + "=="))
    for changed in ({"alg": "none"}, {"alg": "HS256"}, {"crit": ["exp"]}, {"b64": False}):
        forged = coded(json.dumps(fields | changed).encode())
        assert refused(f"{forged}..{signature}", b"{}") == "signature_invalid"


@pytest.mark.parametrize(
    "token", ["", "..", "a..b", "a.b.c", "é..é", "e30..AA", "bnVsbA..AA", "x" * 9000, "e30.e30.AA"]
)
def test_what_is_no_signature_is_refused(token: str):
    assert refused(token, b"{}") in ("signature_invalid", "key_not_found")
    assert isinstance(kid_of(token), str)


def test_a_body_may_be_signed_as_it_is():
    fields = {"alg": "ES256", "kid": OURS.kid, "b64": False, "crit": ["b64"]}
    head = coded(json.dumps(fields).encode())
    signed = head.encode() + b"." + b'{"id":1}'
    # The same key signs the raw bytes: what `detached` would sign if the body were its own coding.
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    r, s = decode_dss_signature(OURS.private.sign(signed, ec.ECDSA(SHA256())))
    token = f"{head}..{coded(r.to_bytes(32) + s.to_bytes(32))}"
    verify_detached(KEYS, token, b'{"id":1}')
    assert refused(token, b'{"id":2}') == "signature_invalid"
    assert kid_of(token) == OURS.kid
