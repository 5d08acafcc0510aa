"""Token table: the sequence row by row, its parts switched on and off, and what the head says of it."""

from vit_tutorial.explore.token_table.numbers import TokenTableState, token_table_state
from vit_tutorial.explore.token_table.widget import TokenTable

__all__ = ["TokenTable", "TokenTableState", "token_table_state"]
