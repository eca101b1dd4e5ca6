"""Commands about the triggers of a search."""

__all__: list[str] = []
