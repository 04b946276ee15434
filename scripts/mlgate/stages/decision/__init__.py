"""Parts of the gate's decision: the comparison, the rules in words, overrides, what is recorded."""
