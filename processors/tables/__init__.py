"""Tables of selected events, in files or in memory, as input instead of ROOT files."""

__all__: list[str] = []
