"""A metric of the user's own: what a wrong answer costs, on average."""

import note


def cost(y_true, y_pred):
    note.leave("metric")
    return sum(5.0 for index in range(len(y_true)) if y_true[index] != y_pred[index]) / len(y_true)


cost.better = "lower"
