"""Where the command runs: encodings, closed pipes and full disks, Ctrl-C and the signals of batch systems."""

__all__: list[str] = []
