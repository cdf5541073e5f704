"""Every module that owns tables: importing this one makes the metadata whole."""
# ruff: noqa: F401

import backend.auth
import backend.catalogue
import backend.checkout
import backend.idempotency
import backend.incidents
import backend.ledger
import backend.merchants
import backend.orders
import backend.threads
import quotas.usage
