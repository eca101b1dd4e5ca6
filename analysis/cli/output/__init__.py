"""Standard output and error of the command: encodings, closed pipes, tables of any width."""

__all__: list[str] = []
