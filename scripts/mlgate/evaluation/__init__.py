"""Predictions on the holdout and the metrics computed from them."""
