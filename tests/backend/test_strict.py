"""Bodies that a row could not hold, or that another reader would read differently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from backend.api.strict import Count, Strict, check_json


class Body(Strict):
    quantity: Count
    note: str = ""
    extra: dict[str, object] = Field(default_factory=dict)


@pytest.mark.parametrize("quantity", ["3", True, 3.0, -1, 2**53 + 1, 10**400, None, float("nan")])
def test_a_quantity_is_a_bounded_whole_number_and_nothing_like_it(quantity):
    with pytest.raises(ValidationError):
        Body.model_validate({"quantity": quantity})


@pytest.mark.parametrize("note", ["a\x00b", "\ud800", 5, ["x"]])
def test_text_that_cannot_be_stored_is_refused(note):
    with pytest.raises(ValidationError):
        Body.model_validate({"quantity": 1, "note": note})


def test_an_unknown_field_is_refused():
    with pytest.raises(ValidationError, match="price"):
        Body.model_validate({"quantity": 1, "price": 0})


@pytest.mark.parametrize(
    "deep", [{"a": [{"b": "\x00"}]}, {"a": float("inf")}, {"\ud83d": 1}, {"a": -(2**60)}]
)
def test_what_is_hidden_deep_inside_is_found(deep):
    with pytest.raises(ValidationError):
        Body.model_validate({"quantity": 1, "extra": deep})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=20,
)


@given(json_values)
def test_ordinary_json_passes(value):
    assert check_json(value) is None
