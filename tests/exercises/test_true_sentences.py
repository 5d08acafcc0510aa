"""Sentences that were once true by chance, or of some inputs alone: these answers do not get them any more."""

import pytest

from exercises.corpus import made_of
from vit_tutorial.exercises import check


def said_of(name, text):
    verdict = getattr(check, name)(made_of(text))
    assert not verdict.passed
    return verdict.diagnosis


def rate(up="peak * (step + 1) / warmup", progress="(step - warmup) / (steps - warmup)", cosine="1 + math.cos"):
    return f"""
        def my_learning_rate(step, steps, warmup, peak):
            if step < warmup:
                return {up}
            t = {progress}
            return peak * ({cosine}(math.pi * t)) / 2
        """


# ------------------------------------------------------------------------------------------ right for other inputs


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "learning_rate",
            """
            def no_warm_up(step, steps, warmup, peak):
                return peak * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
            """,
        ),
        (
            "layer_norm",
            """
            def beta_in_the_root(z, gamma, beta, eps):
                variance = z.var(-1, keepdim=True, correction=0)
                return gamma * (z - z.mean(-1, keepdim=True)) / torch.sqrt(variance + eps + beta)
            """,
        ),
        (
            "position_parameters",
            """
            def square_of_the_patch(image_size, patch_size, dim):
                return (image_size // patch_size ** 2 + 1) * dim
            """,
        ),
    ],
)
def test_an_answer_is_right_for_other_inputs_only_where_several_inputs_show_it(name, text):
    assert "this is right for" not in said_of(name, text)


def test_what_is_true_of_all_inputs_is_said_without_a_condition():
    said = said_of(
        "attention",
        """
        def queries_and_keys_exchanged(q, k, v, mask=None):
            scores = k @ q.transpose(-2, -1) / math.sqrt(q.shape[-1])
            if mask is not None:
                scores = scores.masked_fill(~mask, -torch.inf)
            return scores.softmax(dim=-1) @ v
        """,
    )
    assert said == "this is right for `q` and `k` exchanged."


# ------------------------------------------------------------------------------------------ more inputs


@pytest.mark.parametrize(
    ("answer", "false"),
    [
        (rate(up="peak / warmup"), "2/peak"),
        (rate(progress="(step - warmup) / steps - warmup"), "where step is larger than warmup"),
        (rate(progress="(step - warmup) / steps"), "where step is larger than warmup"),
        (rate(cosine="1 - math.cos"), "where step is no smaller than warmup"),
    ],
)
def test_no_condition_on_the_learning_rate_holds_by_chance(answer, false):
    assert false not in said_of("learning_rate", answer)
