"""CI/CD for machine-learning models: stages that write evidence, and views of it."""

__version__ = "0.1.0"
