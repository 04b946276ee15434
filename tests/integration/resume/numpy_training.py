"""A training in NumPy as a user writes it: momentum, noise from three random generators, a shuffle an epoch, a running total."""

import hashlib
import random
import sys
import time

import numpy as np
from mlgate_checkpoint import Checkpoint

rng = np.random.default_rng(7)
random.seed(3)
np.random.seed(5)
inputs = np.random.default_rng(0).normal(size=(200, 8))
targets = inputs @ np.arange(8.0) + 1
weights = np.zeros(8)
state = {"velocity": np.zeros(8), "best": float("inf"), "total": 0.0}

checkpoint = Checkpoint(weights=weights, state=state, rng=rng)
print("ready")
for _ in checkpoint.epochs(10, every_s=float(sys.argv[2]) if len(sys.argv) > 2 else None):
    order = rng.permutation(len(inputs))
    state["total"] = 0.0
    for first in checkpoint.batches(range(0, 200, 20)):
        rows = order[first : first + 20]
        noise = rng.normal(size=8) * 0.01 + random.random() * 1e-3 + np.random.rand() * 1e-3
        error = inputs[rows] @ weights - targets[rows]
        state["velocity"] = 0.9 * state["velocity"] - 0.01 * (inputs[rows].T @ error / 20 + noise)
        weights += state["velocity"]
        state["total"] += float(error @ error)
        time.sleep(float(sys.argv[1]))
    state["best"] = min(state["best"], state["total"])
    checkpoint.report(loss=state["total"])
np.save("weights.npy", weights)
print("weights", hashlib.sha256(weights.tobytes() + repr((state["best"], state["total"])).encode()).hexdigest())
