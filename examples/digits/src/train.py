"""Fit the model that params.yaml names."""

from pathlib import Path

import joblib
import pandas as pd
import yaml
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

params = yaml.safe_load(Path("params.yaml").read_text())["train"]
name = params["model"]
models = {
    "logistic_regression": LogisticRegression(max_iter=500),
    "support_vectors": SVC(probability=True, random_state=params["seed"]),
    "random_forest": RandomForestClassifier(random_state=params["seed"]),
}
train = pd.read_parquet("data/train.parquet")
model = make_pipeline(MinMaxScaler(), models[name].set_params(**params[name]))
model.fit(train.filter(like="pixel_"), train["digit"])
Path("model").mkdir(exist_ok=True)
joblib.dump(model, "model/model.joblib")
