"""Selected events: datasets and their stitching, the flat event table and its schema, event identity."""

__all__: list[str] = []
