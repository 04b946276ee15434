"""Checkpoints of a training: what stands whole in its folder, kept where it outlives the machine, and put back for the same training only.

`identity` says which training is the same, `snapshot` copies what is whole, `places` are where it goes, `series` is all that is kept of one
training, `restoring` brings one back byte for byte, `beginning` chooses which, `saver` saves on a period and at the end. No file is ever
unpickled here.
"""
