"""Data and its identity: hashes as DVC computes them, who tracks a file, and pulling it with DVC."""
