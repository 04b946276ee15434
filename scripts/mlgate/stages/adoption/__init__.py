"""The ways in: the ten-line action's inputs, and `init`, which grows them into a configuration."""
