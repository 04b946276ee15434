"""Screens: leakage, duplicates, contradictory labels, poisoned sources, personal data, and other faults that no schema sees."""
