"""A processor that runs on loopback and forgets nothing: the real SDK cannot tell the difference.

It exists because no emulator knows Connect, application fees and idempotency together. What it
does follows Stripe's published behaviour; what it does not simulate it refuses with a 400 that
says so, never with an invented success.
"""
