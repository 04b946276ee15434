"""What Git says of a model at one commit and between two: its inputs, its rules, its data."""
