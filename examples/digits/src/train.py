"""Fit the model that params.yaml names."""

from pathlib import Path

import digits
import joblib
import yaml
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

params = yaml.safe_load(Path("params.yaml").read_text())["train"]
settings = params[params["model"]]
match params["model"]:
    case "logistic_regression":
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(max_iter=500, **settings)
    case "support_vectors":
        from sklearn.svm import SVC

        model = SVC(probability=True, random_state=params["seed"], **settings)
    case "random_forest":
        from sklearn.ensemble import RandomForestClassifier

        model = RandomForestClassifier(random_state=params["seed"], **settings)
    case unknown:
        raise SystemExit(f"params.yaml: train.model: no model '{unknown}'")

_, pixels, labels = digits.read("data/train.parquet")
pipeline = make_pipeline(MinMaxScaler(), model).fit(pixels, labels)
Path("model").mkdir(exist_ok=True)
joblib.dump(pipeline, "model/model.joblib")
