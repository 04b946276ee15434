"""A model that is as good as params.yaml says: wrong on exactly `model.errors` examples of the holdout."""

import csv
import re
from pathlib import Path

import note

note.leave("train")
errors = int(re.search(r"errors: *(\d+)", Path("params.yaml").read_text())[1])
with open("data/holdout.csv", newline="") as stream:
    holdout = list(csv.DictReader(stream))
Path("eval").mkdir(exist_ok=True)
with open("eval/predictions.csv", "w", newline="") as stream:
    writer = csv.writer(stream)
    writer.writerow(["id", "y", "y_pred", "site"])
    for row in holdout:
        is_right = int(row["id"]) >= errors
        writer.writerow([row["id"], row["y"], int(row["y"]) if is_right else 1 - int(row["y"]), row["site"]])
