"""Ridge regression on the diabetes data; writes predictions for every patient, each from a model that has not seen them."""

from pathlib import Path

import pandas as pd
import yaml
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

params = yaml.safe_load(Path("params.yaml").read_text())
patients = pd.read_csv("data/diabetes.csv")
features = patients.drop(columns=["id", "progression"])
folds = KFold(n_splits=10, shuffle=True, random_state=params["seed"])
model = make_pipeline(StandardScaler(), Ridge(alpha=params["alpha"]))
predicted = cross_val_predict(model, features, patients["progression"], cv=folds)
Path("eval").mkdir(exist_ok=True)
pd.DataFrame(
    {
        "id": patients["id"],
        "progression": patients["progression"],
        "predicted": predicted,
        "sex": patients["sex"].map({1.0: "1", 2.0: "2"}),
    }
).to_csv("eval/predictions.csv", index=False)
