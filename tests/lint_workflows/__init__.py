"""Checks of every workflow, action and template: GitHub's schemas, GitHub's language service, zizmor. Run by `make lint`."""
