# What a team writes by hand: the steps of a pull request's workflow, without a gate. Its training is timed apart.
set -euo pipefail
dvc pull --quiet
python "$BY_HAND/validate.py"
started=$(date +%s.%N)
dvc repro --quiet
echo "$started $(date +%s.%N)" >"$TRAINING"
dvc metrics diff --md "$BASE" >metrics.md
dvc params diff --md "$BASE" >params.md
dvc plots diff "$BASE" --out plots >/dev/null
python "$BY_HAND/comment.py" metrics.md params.md
