"""The agent beside a Postfix: keeps its lookup tables at the store's revision."""
