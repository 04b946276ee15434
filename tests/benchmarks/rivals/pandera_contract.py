"""The contract as pandera's documentation writes it, by either of its modules; found: how many checks of which columns failed."""


def failed(pa, frame, rules, pattern="{}"):
    """How many checks fail on a frame; `pattern` is what this backend needs around a regular expression."""
    schema = pa.DataFrameSchema({rule["name"]: _column(pa, rule, pattern) for rule in rules})
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        return len({(error.schema.name, str(error.check)) for error in errors.schema_errors})
    return 0


def _column(pa, rule, pattern):
    checks = []
    if "range" in rule:
        checks.append(pa.Check.in_range(*rule["range"]))
    if "in" in rule:
        checks.append(pa.Check.isin(rule["in"]))
    if "pattern" in rule:
        checks.append(pa.Check.str_matches(pattern.format(rule["pattern"])))
    return pa.Column(None, checks=checks, nullable=False, unique=rule.get("unique", False))
