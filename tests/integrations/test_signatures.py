"""RFC 9421 signatures as UCP has them: what is bound cannot be moved to another request."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from integrations.signatures import SignatureRefused, SigningKey, key_id, public_keys, sign, verify

KEY = SigningKey.generate()
BODY = b'{"a":1}'
URL = "https://shop.example/ucp/orders?x=1"
HEADERS = {
    "UCP-Agent": 'profile="https://emptor.example/.well-known/ucp"',
    "Idempotency-Key": "k-1",
    "Content-Type": "application/json",
}


def signed(**changes: Any) -> dict[str, Any]:
    """A request signed by KEY, then changed."""
    made = sign(KEY, method="POST", url=URL, headers=HEADERS, body=BODY)
    return {"method": "POST", "url": URL, "headers": HEADERS | made, "body": BODY} | changes


def test_a_signed_request_verifies_under_the_key_that_it_names():
    request = signed()
    assert key_id(request["headers"]) == KEY.kid
    verify(public_keys([KEY.jwk()]), **request)


def test_a_key_survives_its_own_text_and_names_itself_the_same():
    again = SigningKey.from_pem(KEY.pem())
    assert again.jwk() == KEY.jwk()
    request = sign(again, method="GET", url=URL, headers={}, body=None)
    verify(public_keys([KEY.jwk()]), method="GET", url=URL, headers=request, body=b"")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"method": "PUT"}, "signature_invalid"),
        ({"url": "https://shop.example/ucp/refunds?x=1"}, "signature_invalid"),
        ({"url": "https://other.example/ucp/orders?x=1"}, "signature_invalid"),
        ({"url": "https://shop.example/ucp/orders?x=2"}, "signature_invalid"),
        ({"body": b'{"a":2}'}, "digest_mismatch"),
        ({"headers": HEADERS}, "signature_missing"),
    ],
)
def test_a_request_that_was_changed_or_moved_is_refused(changes: dict[str, Any], code: str):
    with pytest.raises(SignatureRefused) as refused:
        verify(public_keys([KEY.jwk()]), **signed(**changes))
    assert refused.value.code == code


@pytest.mark.parametrize("name", ["UCP-Agent", "Idempotency-Key", "Content-Type", "Webhook-Id"])
def test_a_header_that_says_what_is_done_cannot_be_swapped_or_added(name: str):
    request = signed()
    with pytest.raises(SignatureRefused) as refused:
        verify(public_keys([KEY.jwk()]), **{**request, "headers": request["headers"] | {name: "x"}})
    assert refused.value.code == "signature_invalid"


def test_the_digest_alone_is_no_signature_of_the_body():
    # A body may be replaced with its digest: the signature over the old digest tells.
    other = sign(SigningKey.generate(), method="POST", url=URL, headers=HEADERS, body=b'{"a":2}')
    request = signed(body=b'{"a":2}')
    request["headers"] = request["headers"] | {"Content-Digest": other["Content-Digest"]}
    with pytest.raises(SignatureRefused):
        verify(public_keys([KEY.jwk()]), **request)


def test_a_stranger_and_an_unknown_key_are_refused():
    for keys in ({}, {KEY.kid: SigningKey.generate().private.public_key()}):
        with pytest.raises(SignatureRefused):
            verify(keys, **signed())


def test_keys_of_other_kinds_are_of_no_use_and_no_harm():
    odd = [
        {"kid": "a", "kty": "OKP", "crv": "Ed25519", "x": "x"},
        {"kid": "b", "kty": "EC", "crv": "P-256", "x": "??", "y": "1"},
        {"kty": "EC", "crv": "P-256"},
        "not a key",
        None,
    ]
    assert list(public_keys([*odd, KEY.jwk()])) == [KEY.kid]


def test_another_curve_is_not_taken_for_ours():
    wrong = SigningKey(ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(ValueError, match="P-256"):
        SigningKey.from_pem(wrong.pem())
