"""Long studies: `python -m tests.studies.NAME --max-minutes N`; they append to `results/NAME.jsonl` and resume from it."""
