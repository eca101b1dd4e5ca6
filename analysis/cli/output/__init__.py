"""Amount and form of what is printed: quiet or verbose, tables of any width, JSON."""

__all__: list[str] = []
