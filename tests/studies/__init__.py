"""Long studies: `python -m tests.studies.NAME --max-minutes N`; they append to and resume from `results/NAME.jsonl`."""
