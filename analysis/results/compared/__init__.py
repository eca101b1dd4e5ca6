"""Several searches beside one another: separate results folders, and the variants of one search."""

__all__: list[str] = []
