"""A hundred thousand products: nearest meanings by an index, and one product at several sellers."""

import sqlalchemy as sa
from alembic import op

revision = "0008_search"
down_revision = "0007_spending"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("product", sa.Column("gtin", sa.String(), nullable=False, server_default=""))
    op.alter_column("product", "gtin", server_default=None)
    op.create_index(
        "product_near",
        "product",
        [sa.literal_column("(binary_quantize(embedding)::bit(512))").label("bits")],
        postgresql_using="hnsw",
        postgresql_ops={"bits": "bit_hamming_ops"},
    )
