"""Tables of the stored studies, a module for each page of `docs/studies`."""
