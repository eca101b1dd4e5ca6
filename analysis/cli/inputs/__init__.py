"""Options that name what a search reads."""

__all__: list[str] = []
