"""Pull requests without secrets: the second workflow, and whose evidence it believes."""
