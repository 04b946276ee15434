"""Contracts of folders of files: what each file is, decoded in worker processes, and what all of them make together."""
