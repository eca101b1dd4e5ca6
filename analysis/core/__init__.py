"""Components without physics: registry, plugins, file locations, digests, notebook representations."""

__all__: list[str] = []
