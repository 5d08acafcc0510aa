"""A model through which no gradient comes, or that keeps something of a call, is told; a right one never is."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from exercises.toys import toy
from vit_tutorial.exercises.builders import fill
from vit_tutorial.exercises.properties import CUT_OFF, KEPT, NOTHING_BELOW, NOTHING_LEARNS, forgets, learns, passes_on


class Gate(nn.Module):
    """x + fc2(sigmoid(fc1(x)))"""

    def __init__(self, dim):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x):
        return x + self.fc2(self.fc1(x).sigmoid())


def built(make):
    """Make the function that builds a model, gives it always the same numbers, and runs it."""

    def run(x):
        model = make(x.shape[-1])
        fill(zip(["a", "b", "c", "d"], model.parameters(), strict=False), spread=0.5)
        return model.eval()(x)

    return run


def _tokens(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


gate = toy(
    name="gate",
    solution=Gate,
    adapt=built,
    inputs=[(_tokens(1, 2),), (_tokens(3, 4),)],
    properties=[
        learns(built(Gate), _tokens(2, 3)),
        passes_on(built(Gate), _tokens(2, 3)),
        forgets((_tokens(2, 3),), (-_tokens(2, 3),), (_tokens(4, 3) + 1,)),
    ],
)


class OtherNames(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.w1, self.b1 = nn.Parameter(torch.zeros(dim, dim)), nn.Parameter(torch.zeros(dim))
        self.w2, self.b2 = nn.Parameter(torch.zeros(dim, dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        return torch.einsum("bi,oi->bo", F.linear(x, self.w1, self.b1).sigmoid(), self.w2) + self.b2 + x


class WithAnUnusedLayer(Gate):
    def __init__(self, dim):
        super().__init__(dim)
        self.unused = nn.Linear(dim, dim)


class InPlace(Gate):
    def forward(self, x):
        out = x.clone()
        out += self.fc2(self.fc1(x).sigmoid())
        return out


class InsideAnother(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.inside = nn.Sequential(Gate(dim), nn.Dropout(0.5))

    def forward(self, x):
        return self.inside(x)


class KeptForLooking(Gate):
    def forward(self, x):
        self.hidden = self.fc1(x).sigmoid()
        return x + self.fc2(self.hidden)


@pytest.mark.parametrize("answer", [OtherNames, WithAnUnusedLayer, InPlace, InsideAnother, KeptForLooking])
def test_a_right_answer_is_never_refused(answer):
    verdict = gate(answer)
    assert verdict.passed, verdict


class NoGrad(Gate):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class HiddenCutOff(Gate):
    def forward(self, x):
        return x + self.fc2(self.fc1(x).sigmoid().detach())


class Frozen(Gate):
    def __init__(self, dim):
        super().__init__(dim)
        self.fc1.requires_grad_(False)


class OneRowCutOff(Gate):
    def forward(self, x):
        weight = torch.cat([self.fc1.weight[:1].detach(), self.fc1.weight[1:]])
        return x + self.fc2(F.linear(x, weight, self.fc1.bias).sigmoid())


class FrozenUnderOtherNames(OtherNames):
    def __init__(self, dim):
        super().__init__(dim)
        self.w1.requires_grad_(False)


class InputCutOff(Gate):
    def forward(self, x):
        return super().forward(x.detach())


class RestCutOff(Gate):
    def forward(self, x):
        return x.detach() + self.fc2(self.fc1(x).sigmoid())


class KeepsTheFirst(Gate):
    first = None

    def forward(self, x):
        if self.first is None:
            self.first = self.fc1(x).sigmoid()
        return x + self.fc2(self.first)


class KeepsByShape(Gate):
    first = None

    def forward(self, x):
        if self.first is None or self.first.shape != x.shape:
            self.first = self.fc1(x).sigmoid()
        return x + self.fc2(self.first)


class KeepsADataPoint(Gate):
    first = None

    def forward(self, x):
        self.first = x[:1] if self.first is None else self.first
        return super().forward(torch.cat([self.first, x[1:]]))


class OverwritesWhatTheGradientNeeds(Gate):
    def forward(self, x):
        x = x.clone()
        x += self.fc2(self.fc1(x).sigmoid())
        return x


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (NoGrad, NOTHING_LEARNS),
        (HiddenCutOff, "no gradient arrives at `fc1`, so it never learns. Is there a no_grad, a detach or a .data"),
        (Frozen, "no gradient arrives at `fc1`, so it never learns. Leave out requires_grad=False."),
        (OneRowCutOff, "no gradient arrives at a part of `fc1`, so it never learns."),
        (FrozenUnderOtherNames, "no gradient arrives at `w1`, so it never learns. Leave out requires_grad=False."),
        (InputCutOff, NOTHING_BELOW),
        (RestCutOff, CUT_OFF),
        (KeepsTheFirst, KEPT),
        (KeepsByShape, KEPT),
        (KeepsADataPoint, KEPT),
    ],
)
def test_what_does_not_learn_is_told(answer, said):
    verdict = gate(answer)
    assert not verdict.passed
    assert verdict.diagnosis.startswith(said)


class Weighted(nn.Module):
    """fc(x) times the square of one column of y: the gradient of the others is 0, and should be."""

    def __init__(self, dim):
        super().__init__()
        self.fc = nn.Linear(dim, dim)

    def forward(self, x, y):
        return self.fc(x) * self.weight(y[:, :1])

    def weight(self, y):
        return y * y


def built_for_two(make):
    def run(x, y):
        model = make(x.shape[-1])
        fill(zip(["a", "b"], model.parameters(), strict=True), spread=0.5)
        return model.eval()(x, y)

    return run


class WeightCutOff(Weighted):
    def weight(self, y):
        return (y * y).detach()


class HalfOfTheWeightCutOff(Weighted):
    def weight(self, y):
        return y * y.detach()


@pytest.mark.parametrize(("answer", "said"), [(WeightCutOff, NOTHING_BELOW), (HalfOfTheWeightCutOff, CUT_OFF)])
def test_of_two_inputs_each_must_get_its_gradient(answer, said):
    two = (_tokens(2, 3), _tokens(2, 3) + 1)
    passes = [passes_on(built_for_two(Weighted), *two)]
    weighted = toy(
        name="weighted", solution=Weighted, adapt=built_for_two, inputs=[two], mistakes=[], properties=passes
    )
    assert weighted(Weighted).passed
    verdict = weighted(answer)
    assert not verdict.passed
    assert verdict.diagnosis.startswith(said)


def test_what_the_gradient_still_needs_and_is_overwritten_is_told():
    said = str(gate(OverwritesWhatTheGradientNeeds))
    assert f"and yet: {NOTHING_LEARNS}\n  It raised RuntimeError: one of the variables needed" in said
    assert "In words: a tensor that the gradient still needs is changed in place" in said


def test_a_loop_in_the_second_call_is_stopped(impatient):
    class Hangs(Gate):
        def forward(self, x):
            while len(x) == 4:
                pass
            return super().forward(x)

    assert "was stopped after" in str(gate(Hangs))


def test_where_no_model_is_called_nothing_is_asked():
    x = _tokens(2, 3)

    def a_model_for_the_first_alone(given):
        return built(Gate)(given) if torch.equal(given, x) else given

    for asked in (learns(built(Gate), x), passes_on(built(Gate), x), forgets((x,), (-x,))):
        assert asked.test(lambda given: given + 1) is True
    assert forgets((x,), (-x,)).test(a_model_for_the_first_alone) is True
