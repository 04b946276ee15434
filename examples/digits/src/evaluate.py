"""Predict the holdout, one row an example, and measure how long a request takes."""

import json
import time
from pathlib import Path

import digits
import joblib
import numpy as np
import pyarrow as pa
from pyarrow import parquet

model = joblib.load("model/model.joblib")  # our own file, made by the stage before
ids, pixels, labels = digits.read("data/holdout.parquet")
scores = model.predict_proba(pixels)
ink = pixels.sum(axis=1)
columns = {
    "id": ids,
    "y": labels,
    "y_pred": model.classes_[scores.argmax(axis=1)],
    "y_score": list(scores),
    "digit": labels,
    "ink": np.where(ink < np.median(ink), "light", "heavy"),
}
Path("eval").mkdir(exist_ok=True)
parquet.write_table(pa.table(columns), "eval/predictions.parquet")

durations_ms = []
for row in range(100):
    started = time.perf_counter()
    model.predict(pixels[[row]])
    durations_ms.append(1000 * (time.perf_counter() - started))
Path("eval/metrics.json").write_text(
    json.dumps(
        {
            "latency_p95_ms": round(float(np.quantile(durations_ms, 0.95)), 3),
            "model_kb": round(Path("model/model.joblib").stat().st_size / 1024),
        }
    )
)
