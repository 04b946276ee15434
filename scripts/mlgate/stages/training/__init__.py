"""What the stage `train` is made of: the machine, reuse, checkpoints, the run itself, what it cost."""
