"""Options that name what a command reads: tables of events, and modules of the user."""

__all__: list[str] = []
