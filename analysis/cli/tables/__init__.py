"""Tables for the terminal, as rich renderables; matplotlib is not needed."""

__all__: list[str] = []
