"""MLflow: where runs are tracked, and writing them from a process of its own."""
