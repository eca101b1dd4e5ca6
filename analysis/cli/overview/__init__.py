"""What to do next, and what was done: help by groups of commands, and `cwola status`."""

__all__: list[str] = []
