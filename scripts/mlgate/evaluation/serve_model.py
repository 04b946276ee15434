"""Answers requests with an MLflow model under the user's interpreter: `python serve_model.py MODEL`, a JSON list of rows a line.

Nothing of mlgate is imported here; the user's Python has MLflow and pandas, or no such model. Standard output is for answers alone: what
libraries print goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any


def main(path: str) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        pandas, pyfunc = importlib.import_module("pandas"), importlib.import_module("mlflow.pyfunc")
    except ImportError as error:
        sys.exit(f"evaluation.latency.model needs MLflow and pandas in your Python: {error}")
    model = pyfunc.load_model(path)
    for line in sys.stdin:
        found = model.predict(pandas.DataFrame(json.loads(line)))
        answers.write(json.dumps(listed(found), default=str) + "\n")
        answers.flush()


def listed(found: Any) -> Any:
    """Predictions of any kind as a list, one a row."""
    if hasattr(found, "to_numpy"):
        found = found.to_numpy()
    return found.tolist() if hasattr(found, "tolist") else list(found)


if __name__ == "__main__":
    main(sys.argv[1])
