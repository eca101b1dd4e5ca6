"""Run the processor over datasets: plan, execute on a backend, normalise."""

__all__: list[str] = []
