"""Signal samples in a finished search: window of a template, yields, workspaces, limits per sample."""

__all__: list[str] = []
