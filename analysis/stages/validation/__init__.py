"""Stages that tell how far a search can be trusted: drift of the features, signal-free samples, two-sample tests."""

__all__: list[str] = []
