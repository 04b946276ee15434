"""Predict the holdout, one row an example, and measure how long a request takes."""

import json
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

model = joblib.load("model/model.joblib")  # our own file, made by the stage before
holdout = pd.read_parquet("data/holdout.parquet")
pixels = holdout.filter(like="pixel_")
scores = model.predict_proba(pixels)
ink = pixels.sum(axis="columns")
Path("eval").mkdir(exist_ok=True)
pd.DataFrame(
    {
        "id": holdout["id"],
        "y": holdout["digit"],
        "y_pred": model.classes_[scores.argmax(axis=1)],
        "y_score": list(scores),
        "digit": holdout["digit"],
        "ink": np.where(ink < ink.median(), "light", "heavy"),
    }
).to_parquet("eval/predictions.parquet", index=False)

durations_ms = []
for row in range(100):
    started = time.perf_counter()
    model.predict(pixels.iloc[[row]])
    durations_ms.append(1000 * (time.perf_counter() - started))
Path("eval/metrics.json").write_text(
    json.dumps(
        {
            "latency_p95_ms": round(float(np.quantile(durations_ms, 0.95)), 3),
            "model_kb": round(Path("model/model.joblib").stat().st_size / 1024),
        }
    )
)
