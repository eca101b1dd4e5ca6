"""Selected events: datasets and their stitching, the flat event table and its schema, event identities."""

__all__: list[str] = []
