from prepare import is_held_out


def test_about_the_asked_share_is_held_out():
    assert 450 < sum(is_held_out(identifier, 0.5) for identifier in range(1000)) < 550


def test_a_larger_holdout_keeps_the_examples_of_a_smaller_one():
    small = {identifier for identifier in range(1000) if is_held_out(identifier, 0.2)}
    assert small <= {identifier for identifier in range(1000) if is_held_out(identifier, 0.5)}
