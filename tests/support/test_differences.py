"""Two sets of settings are compared as JSON holds them, and what differs is named with its place."""

from vit_tutorial.support.differences import differences


def test_what_differs_is_named_with_both_values_and_nothing_else():
    then = {"seed": 0, "training": {"epochs": 1, "betas": (0.9, 0.99)}, "gone": True}
    now = {"seed": 0, "training": {"epochs": 2, "betas": [0.9, 0.99]}, "new": "word"}
    assert differences(then, now) == (
        "training.epochs was 1 and is 2, gone was True and is None, new was None and is word"
    )
    assert differences({"training": {"epochs": 1}}, {}) == "training was {'epochs': 1} and is None"
    assert differences(then, then | {"training": {"epochs": 1, "betas": [0.9, 0.99]}}) == ""
