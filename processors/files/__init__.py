"""Look at a file, and convert tables to ROOT files."""

__all__: list[str] = []
