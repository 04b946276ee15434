"""What training is about, without running it: parameters and their overrides, and DVC's memory of earlier runs."""
