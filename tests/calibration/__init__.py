"""The calibration suite: every method of the gate, run on populations whose truth is known exactly, held against what it promises.

`scenario.py` is the harness and says how to add one; a module a kind of metric gives the scenarios; `suite.py` lists them all;
`python -m calibration` (`make calibrate`) runs them and writes docs/reference/calibration.json, from which docs/calibration.md is made.
"""
