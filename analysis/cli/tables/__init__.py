"""Tables of the terminal, as rich renderables. Needs no matplotlib."""

__all__: list[str] = []
