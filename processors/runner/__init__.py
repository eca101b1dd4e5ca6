"""Run the processor over datasets: plan chunks, execute on a backend, normalise."""

__all__: list[str] = []
