"""The contract as a suite of Great Expectations on pandas, in an ephemeral context; found: how many expectations failed."""

import great_expectations as gx
import measured
import pandas as pd
from great_expectations import expectations as gxe


def expected(rule):
    name = rule["name"]
    yield gxe.ExpectColumnValuesToNotBeNull(column=name)
    if rule.get("unique"):
        yield gxe.ExpectColumnValuesToBeUnique(column=name)
    if "range" in rule:
        yield gxe.ExpectColumnValuesToBeBetween(column=name, min_value=rule["range"][0], max_value=rule["range"][1])
    if "in" in rule:
        yield gxe.ExpectColumnValuesToBeInSet(column=name, value_set=rule["in"])
    if "pattern" in rule:
        yield gxe.ExpectColumnValuesToMatchRegex(column=name, regex=rule["pattern"])


def check(folder, rules):
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = context.data_sources.add_pandas("data").add_dataframe_asset("current").add_batch_definition_whole_dataframe("whole")
    suite = context.suites.add(gx.ExpectationSuite("contract", expectations=[one for rule in rules for one in expected(rule)]))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="contract", data=batch, suite=suite))
    result = definition.run(batch_parameters={"dataframe": pd.read_parquet(folder / "current.parquet")}, result_format="SUMMARY")
    return result.statistics["unsuccessful_expectations"]


if __name__ == "__main__":
    measured.main(check)
