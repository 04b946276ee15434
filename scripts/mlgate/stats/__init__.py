"""The statistics of the gate: paired intervals and verdicts. Pure functions on NumPy arrays; nothing here reads or writes."""
