import pandas as pd


def test_every_digit_occurs():
    assert set(pd.read_csv("data/digits.csv")["digit"]) == set(range(10))


def test_ids_are_unique():
    assert pd.read_csv("data/digits.csv", usecols=["id"])["id"].is_unique
