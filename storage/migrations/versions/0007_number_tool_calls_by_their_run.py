"""Number tool calls by their run: an execution's name is the agent's to choose, and it may choose one twice."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("tool_call_pkey", "tool_call", type_="primary")
    op.create_primary_key("tool_call_pkey", "tool_call", ["run_id", "seq"])
    op.drop_index("tool_call_run_id_idx", table_name="tool_call")


def downgrade() -> None:
    op.create_index("tool_call_run_id_idx", "tool_call", ["run_id"])
    op.drop_constraint("tool_call_pkey", "tool_call", type_="primary")
    op.create_primary_key("tool_call_pkey", "tool_call", ["execution_id", "seq"])
