"""Every module that owns tables, so that the metadata is whole when a schema is made or compared."""

import quotas.usage  # noqa: F401
