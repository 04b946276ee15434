"""Predictions on 400 examples, wrong on as many as the first argument says."""

import csv
import sys

with open("predictions.csv", "w", newline="") as stream:
    writer = csv.writer(stream)
    writer.writerow(["id", "y", "y_pred"])
    writer.writerows((n, n % 2, n % 2 if n >= int(sys.argv[1]) else 1 - n % 2) for n in range(400))
