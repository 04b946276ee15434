import joblib
from mlgate_checkpoint import Checkpoint
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier

measured, is_benign = load_breast_cancer(return_X_y=True)
model = GradientBoostingClassifier(warm_start=True, subsample=0.8, max_depth=2, random_state=0)

checkpoint = Checkpoint(model=model)
for step in checkpoint.epochs(5):
    model.set_params(n_estimators=10 * (step + 1)).fit(measured, is_benign)  # or model.partial_fit(…)

joblib.dump(model, "model.joblib")
