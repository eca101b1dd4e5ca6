"""Parts without physics: registry, plugins, locations of files, digests, notebook representations."""

__all__: list[str] = []
