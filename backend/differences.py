"""What does not fit when two sets of books are held against each other."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """`subject` is the order's, booking's, payment's or person's id; amounts in minor units of
    `currency`, which is `plans` where those are counted. `user_id`: whom a reading may mend."""

    kind: str
    subject: str
    merchant_id: str | None
    expected: int
    found: int
    currency: str
    user_id: str | None = None
