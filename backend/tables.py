"""Every module that owns tables: importing this one makes the metadata whole."""
# ruff: noqa: F401

import backend.auth
import backend.cards
import backend.chain
import backend.checkout
import backend.decisions
import backend.disputes
import backend.effects
import backend.feed_versions
import backend.hits
import backend.idempotency
import backend.inbox
import backend.incidents
import backend.legacy
import backend.merchants
import backend.offers
import backend.orders
import backend.products
import backend.refunds
import backend.subscribers
import backend.threads
import backend.versions
import quotas.buckets
import quotas.grants
import quotas.holds
