"""Commands about the triggers of a search."""
