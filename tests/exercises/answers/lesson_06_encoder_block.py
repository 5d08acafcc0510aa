"""Answers to the exercises of lesson 6."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from exercises.answers import Answers
from vit_tutorial import MLP, EncoderBlock, MultiHeadAttention

# ------------------------------------------------------------------------------------------ count a block


def by_layers(dim, hidden_dim):
    def linear(inputs, outputs):
        return inputs * outputs + outputs

    attention = linear(dim, 3 * dim) + linear(dim, dim)
    return attention, linear(dim, hidden_dim) + linear(hidden_dim, dim), 2 * (dim + dim)


def by_building(dim, hidden_dim):
    block = EncoderBlock(dim, 1, mlp_ratio=hidden_dim / dim)
    parts = [block.attn], [block.mlp], [block.norm1, block.norm2]
    return [sum(p.numel() for part in some for p in part.parameters()) for some in parts]


def counting(attention, mlp, norms):
    """Return an answer with three formulas in the words of Python."""
    return lambda dim, hidden_dim: tuple(eval(text, {"D": dim, "H": hidden_dim}) for text in (attention, mlp, norms))


RIGHT = ("4 * D**2 + 4 * D", "D * H + H + H * D + D", "4 * D")


def wrong_count(place, text):
    return counting(*(text if i == place else right for i, right in enumerate(RIGHT)))


# ------------------------------------------------------------------------------------------ LayerNorm


def by_torch(z, gamma, beta, eps):
    return F.layer_norm(z, z.shape[-1:], gamma, beta, eps)


def by_sums(z, gamma, beta, eps):
    D = z.shape[-1]
    centred = z - z.sum(-1, keepdim=True) / D
    variance = (centred**2).sum(-1, keepdim=True) / D
    return centred * (variance + eps).rsqrt() * gamma + beta


def by_loops(z, gamma, beta, eps):
    out = torch.empty_like(z)
    for b, image in enumerate(z.tolist()):
        for n, token in enumerate(image):
            mean = sum(token) / len(token)
            variance = sum((number - mean) ** 2 for number in token) / len(token)
            for i, number in enumerate(token):
                out[b, n, i] = gamma[i] * (number - mean) / math.sqrt(variance + eps) + beta[i]
    return out


def eps_outside(z, gamma, beta, eps):
    centred = z - z.mean(-1, keepdim=True)
    return gamma * centred / ((centred**2).mean(-1, keepdim=True).sqrt() + eps) + beta


def unbiased(z, gamma, beta, eps):
    return gamma * (z - z.mean(-1, keepdim=True)) / (z.var(-1, keepdim=True) + eps).sqrt() + beta


def unbiased_and_outside(z, gamma, beta, eps):
    return gamma * (z - z.mean(-1, keepdim=True)) / (z.std(-1, keepdim=True) + eps) + beta


def without_eps(z, gamma, beta, eps):
    return gamma * (z - z.mean(-1, keepdim=True)) / z.std(-1, keepdim=True, unbiased=False) + beta


def unbiased_without_eps(z, gamma, beta, eps):
    return (z - z.mean(-1, True)) / z.std(-1, keepdim=True) * gamma + beta


def no_root(z, gamma, beta, eps):
    centred = z - z.mean(-1, keepdim=True)
    return gamma * centred / ((centred**2).mean(-1, keepdim=True) + eps) + beta


def only_centred(z, gamma, beta, eps):
    return gamma * (z - z.mean(-1, keepdim=True)) + beta


def not_centred(z, gamma, beta, eps):
    return gamma * z / (z.var(-1, keepdim=True, correction=0) + eps).sqrt() + beta


def rms_norm(z, gamma, beta, eps):
    return gamma * z / (z.pow(2).mean(-1, keepdim=True) + eps).sqrt() + beta


def no_gamma_no_beta(z, gamma, beta, eps):
    return F.layer_norm(z, z.shape[-1:], eps=eps)


def no_beta(z, gamma, beta, eps):
    return F.layer_norm(z, z.shape[-1:], gamma, eps=eps)


def no_gamma(z, gamma, beta, eps):
    return F.layer_norm(z, z.shape[-1:], eps=eps) + beta


def without_brackets(z, gamma, beta, eps):
    variance = z.var(dim=-1, keepdim=True, unbiased=False)
    return gamma * z - z.mean(dim=-1, keepdim=True) / (variance + eps) ** 0.5 + beta


def beta_first(z, gamma, beta, eps):
    return gamma * (F.layer_norm(z, z.shape[-1:], eps=eps) + beta)


def swapped_gamma_beta(z, gamma, beta, eps):
    return F.layer_norm(z, z.shape[-1:], beta, gamma, eps)


def over(*axes):
    def answer(z, gamma, beta, eps):
        mean = z.mean(axes, keepdim=True)
        variance = ((z - mean) ** 2).mean(axes, keepdim=True)
        return gamma * (z - mean) / (variance + eps).sqrt() + beta

    answer.__name__ = f"over_{axes}"
    return answer


def over_everything(z, gamma, beta, eps):
    return gamma * (z - z.mean()) / (z.var(correction=0) + eps).sqrt() + beta


def mean_of_the_first_token(z, gamma, beta, eps):
    return by_torch(z[:, :1].expand_as(z), gamma, beta, eps)


# ------------------------------------------------------------------------------------------ the MLP


class BySequential(nn.Sequential):
    def __init__(self, dim, hidden_dim):
        super().__init__(nn.Linear(dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, dim))


class MyMLP(nn.Module):
    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.up, self.down = nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)

    def forward(self, x):
        x = self.up(x)
        return self.down(x * 0.5 * (1 + torch.erf(x / math.sqrt(2))))


class NoBend(MyMLP):
    def forward(self, x):
        return self.down(self.up(x))


def bent_by(act):
    class Answer(nn.Sequential):
        def __init__(self, dim, hidden_dim):
            super().__init__(nn.Linear(dim, hidden_dim), act, nn.Linear(hidden_dim, dim))

    Answer.__name__ = f"with_{act}"
    return Answer


class BentAtTheEnd(nn.Sequential):
    def __init__(self, dim, hidden_dim):
        super().__init__(nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim), nn.GELU())


class BentTwice(MyMLP):
    def forward(self, x):
        for layer in (self.up, self.down):
            x = F.gelu(layer(x))
        return x


class BentAtTheStart(nn.Sequential):
    def __init__(self, dim, hidden_dim):
        super().__init__(nn.GELU(), nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim))


class WithResidual(MyMLP):
    def forward(self, x):
        return super().forward(x) + x


class OnlyUp(MyMLP):
    def forward(self, x):
        return F.gelu(self.up(x))


class FourTimes(MyMLP):
    def __init__(self, dim, hidden_dim):
        super().__init__(dim, dim * 4)


class NotWider(MyMLP):
    def __init__(self, dim, hidden_dim):
        super().__init__(dim, dim)


class HiddenAsRatio(MyMLP):
    def __init__(self, dim, hidden_dim):
        super().__init__(dim, int(dim * hidden_dim))


class NoBias(nn.Module):
    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(dim, hidden_dim, bias=False), nn.Linear(hidden_dim, dim, bias=False)])

    def forward(self, x):
        return self.layers[1](F.gelu(self.layers[0](x)))


class DownBeforeUp(nn.Module):
    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.last = nn.Linear(hidden_dim, dim)
        self.first = nn.Linear(dim, hidden_dim)

    def forward(self, x):
        return self.last(F.gelu(self.first(x)))


class NoGradientMLP(MyMLP):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class DetachedInside(MyMLP):
    def forward(self, x):
        return self.down(F.gelu(self.up(x)).detach())


class DetachedInput(MyMLP):
    def forward(self, x):
        return super().forward(x.detach())


class FrozenFirstLayer(MyMLP):
    def __init__(self, dim, hidden_dim):
        super().__init__(dim, hidden_dim)
        self.up.requires_grad_(False)


class KeepsItsFirstBatch(MyMLP):
    wide = None

    def forward(self, x):
        if self.wide is None or self.wide.shape[:2] != x.shape[:2]:
            self.wide = F.gelu(self.up(x))
        return self.down(self.wide)


class NoModuleMLP:
    def __init__(self, dim, hidden_dim):
        self.up, self.down = nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)

    def __call__(self, x):
        return self.down(F.gelu(self.up(x)))


class WithNorm(MyMLP):
    def __init__(self, dim, hidden_dim):
        super().__init__(dim, hidden_dim)
        self.unused = nn.LayerNorm(dim)


# ------------------------------------------------------------------------------------------ the block


class MyBlock(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.mlp = MLP(dim, 4 * dim)
        self.attn = MultiHeadAttention(dim, num_heads, fused=False)
        self.norm1, self.norm2 = (nn.LayerNorm(dim, eps=1e-6) for _ in range(2))

    def forward(self, x):
        z = self.attn(self.norm1(x)) + x
        return self.mlp(self.norm2(z)) + z


class WithOwnMLP(MyBlock):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.mlp = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        hidden = F.gelu(self.mlp.fc1(self.norm2(x)))
        return x + self.mlp.fc2(hidden)


class PostNorm(MyBlock):
    def forward(self, x):
        z = self.norm1(self.attn(x) + x)
        return self.norm2(self.mlp(z) + z)


class NormAfterBranch(MyBlock):
    def forward(self, x):
        z = self.norm1(self.attn(x)) + x
        return self.norm2(self.mlp(z)) + z


class NormedStream(MyBlock):
    def forward(self, x):
        for norm, branch in ((self.norm1, self.attn), (self.norm2, self.mlp)):
            x = norm(x)
            x = x + branch(x)
        return x


class FirstNormedStream(MyBlock):
    def forward(self, x):
        x = self.norm1(x)
        x = self.attn(x) + x
        return self.mlp(self.norm2(x)) + x


class SecondNormedStream(MyBlock):
    def forward(self, x):
        x = self.norm2(x + self.attn(self.norm1(x)))
        return self.mlp(x) + x


class NoSecondPlus(MyBlock):
    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return self.mlp(self.norm2(x))


class NoFirstPlus(MyBlock):
    def forward(self, x):
        x = self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x


class NoPlus(MyBlock):
    def forward(self, x):
        x = self.attn(self.norm1(x))
        return self.mlp(self.norm2(x))


class OneNorm(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn, self.mlp = MultiHeadAttention(dim, num_heads), MLP(dim, 4 * dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm1(x))


class NormsSwapped(MyBlock):
    def forward(self, x):
        x = x + self.attn(self.norm2(x))
        return x + self.mlp(self.norm1(x))


class SideBySide(MyBlock):
    def forward(self, x):
        return x + self.mlp(self.norm2(x)) + self.attn(self.norm1(x))


class PlusTheStart(MyBlock):
    def forward(self, x):
        z = x + self.attn(self.norm1(x))
        return self.mlp(self.norm2(z)) + x


class MLPFirst(MyBlock):
    def forward(self, x):
        x = x + self.mlp(self.norm2(x))
        return x + self.attn(self.norm1(x))


class NoSecondNorm(MyBlock):
    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(x)


class NoFirstNorm(MyBlock):
    def forward(self, x):
        x = x + self.attn(x)
        return x + self.mlp(self.norm2(x))


class NoNorms(MyBlock):
    def forward(self, x):
        x = x + self.attn(x)
        return x + self.mlp(x)


class NormAtTheEnd(MyBlock):
    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(x)
        return self.norm2(x)


class UsualEps(MyBlock):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)


class NarrowMLP(MyBlock):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.mlp = MLP(dim, dim)


class OtherNames(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attention, self.mlp = MultiHeadAttention(dim, num_heads), MLP(dim, 4 * dim)

    def forward(self, x):
        x = x + self.attention(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class OwnNamesInside(MyBlock):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.mlp = MyMLP(dim, 4 * dim)


class CopiedStream(MyBlock):
    def forward(self, x):
        out = x.detach().clone()
        out += self.attn(self.norm1(out))
        return out + self.mlp(self.norm2(out))


class DetachedStream(MyBlock):
    def forward(self, x):
        return super().forward(x.detach())


class CutBesideAttention(MyBlock):
    def forward(self, x):
        x = x.detach() + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class CopiedWithGradient(MyBlock):
    def forward(self, x):
        out = x.clone()
        out += self.attn(self.norm1(x))
        return out + self.mlp(self.norm2(out))


class AttentionWithoutGradient(MyBlock):
    def forward(self, x):
        with torch.no_grad():
            said = self.attn(self.norm1(x))
        x = x + said
        return x + self.mlp(self.norm2(x))


class NoGradientBlock(MyBlock):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class KeepsItsFirstSaying(MyBlock):
    said = None

    def forward(self, x):
        if self.said is None or self.said.shape != x.shape:
            self.said = self.attn(self.norm1(x))
        x = x + self.said
        return x + self.mlp(self.norm2(x))


class NoModuleBlock:
    def __init__(self, dim, num_heads):
        self.block = EncoderBlock(dim, num_heads)

    def __call__(self, x):
        return self.block(x)


class MeanOfTokens(MyBlock):
    def forward(self, x):
        return super().forward(x).mean(dim=1, keepdim=True)


# ------------------------------------------------------------------------------------------ the clinic


class Patient(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(dim, eps=1e-6) for _ in range(2))
        self.attn, self.mlp = MultiHeadAttention(dim, num_heads), MLP(dim, 4 * dim)

    def forward(self, x):
        x = x + F.dropout(self.attn(self.norm1(x)), p=0.2)
        x = x + F.dropout(self.mlp(self.norm2(x)), p=0.2)
        return x


class WithModule(Patient):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        x = x + self.drop(self.attn(self.norm1(x)))
        return x + self.drop(self.mlp(self.norm2(x)))


class ByHand(Patient):
    def drop(self, branch):
        return branch * (torch.rand_like(branch) > 0.2) / 0.8 if self.training else branch

    def forward(self, x):
        x = x + self.drop(self.attn(self.norm1(x)))
        return x + self.drop(self.mlp(self.norm2(x)))


class Opposite(Patient):
    def forward(self, x):
        x = x + F.dropout(self.attn(self.norm1(x)), 0.2, training=not self.training)
        return x + F.dropout(self.mlp(self.norm2(x)), 0.2, training=not self.training)


class Seeded(Patient):
    def forward(self, x):
        torch.manual_seed(3)
        return super().forward(x)


class NoDropout(Patient):
    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class OnlyAttention(Patient):
    def forward(self, x):
        x = x + F.dropout(self.attn(self.norm1(x)), 0.2, self.training)
        return x + F.dropout(self.mlp(self.norm2(x)), 0.2)


class OnlyMLP(Patient):
    def forward(self, x):
        x = x + F.dropout(self.attn(self.norm1(x)), 0.2)
        return x + F.dropout(self.mlp(self.norm2(x)), 0.2, self.training)


class BareInBoth(Patient):
    def forward(self, x):
        x = x + F.dropout(self.attn(self.norm1(x)))
        return x + F.dropout(self.mlp(self.norm2(x)))


class BareAfterAttention(Patient):
    def forward(self, x):
        x = x + F.dropout(self.attn(self.norm1(x)))
        return x + F.dropout(self.mlp(self.norm2(x)), 0.2, self.training)


class BareAfterMLP(Patient):
    def forward(self, x):
        x = x + F.dropout(self.attn(self.norm1(x)), 0.2, self.training)
        return x + F.dropout(self.mlp(self.norm2(x)))


class OtherEps(WithModule):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)


class ShrunkInEval(Patient):
    def forward(self, x):
        if self.training:
            return super().forward(x)
        x = x + 0.8 * self.attn(self.norm1(x))
        return x + 0.8 * self.mlp(self.norm2(x))


class OnTheStream(WithModule):
    def forward(self, x):
        x = self.drop(x + self.attn(self.norm1(x)))
        return self.drop(x + self.mlp(self.norm2(x)))


class AnotherRate(WithModule):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.drop = nn.Dropout(0.5)


class NotDivided(ByHand):
    def drop(self, branch):
        return branch * (torch.rand_like(branch) > 0.2) if self.training else branch


class WithoutGradient(WithModule):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class InputDetached(WithModule):
    def forward(self, x):
        return super().forward(x.detach())


class DetachedBranch(WithModule):
    def forward(self, x):
        x = x + self.drop(self.attn(self.norm1(x)).detach())
        return x + self.drop(self.mlp(self.norm2(x)))


class NothingAfterTheMLP(WithModule):
    def forward(self, x):
        x = x + self.drop(self.attn(self.norm1(x)))
        return x + self.mlp(self.norm2(x))


class NothingAfterAttention(WithModule):
    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.drop(self.mlp(self.norm2(x)))


class BeforeTheBranches(WithModule):
    def forward(self, x):
        x = x + self.attn(self.drop(self.norm1(x)))
        return x + self.mlp(self.drop(self.norm2(x)))


class BeforeTheMLP(WithModule):
    def forward(self, x):
        x = x + self.drop(self.attn(self.norm1(x)))
        return x + self.mlp(self.norm2(self.drop(x)))


class AlphaDropout(WithModule):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.drop = nn.AlphaDropout(0.2)


class OnWhatCameIn(WithModule):
    def forward(self, x):
        x = self.drop(x) + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TwoModules(Patient):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.drop1, self.drop2 = nn.Dropout(0.2), nn.Dropout(0.2)

    def forward(self, x):
        x = self.drop1(self.attn(self.norm1(x))) + x
        return self.drop2(self.mlp(self.norm2(x))) + x


class TwoWays(Patient):
    def forward(self, x):
        if self.training:
            return super().forward(x)
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


# ------------------------------------------------------------------------------------------ to several exercises


def squares_summed(z, gamma, beta, eps):
    centred = z - z.mean(dim=-1, keepdim=True)
    return gamma * centred / torch.sqrt((centred**2).sum(dim=-1, keepdim=True) + eps) + beta


class WithDropout(nn.Sequential):
    def __init__(self, dim, hidden_dim):
        super().__init__(
            *(nn.Linear(dim, hidden_dim), nn.GELU(), nn.Dropout(0.1)),
            *(nn.Linear(hidden_dim, dim), nn.Dropout(0.1)),
        )


class ByConvolutions(nn.Module):
    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.up, self.down = nn.Conv1d(dim, hidden_dim, 1), nn.Conv1d(hidden_dim, dim, 1)

    def forward(self, x):
        return self.down(F.gelu(self.up(x.mT))).mT


class ThreeLayers(MyMLP):
    def __init__(self, dim, hidden_dim):
        super().__init__(dim, hidden_dim)
        self.last = nn.Linear(dim, dim)

    def forward(self, x):
        return self.last(super().forward(x))


class DropsAll(Patient):
    def forward(self, x):
        x = x + F.dropout(self.attn(self.norm1(x)), self.training)
        return x + F.dropout(self.mlp(self.norm2(x)), self.training)


ANSWERS = {
    "block_parameters": Answers(
        right=[by_layers, by_building],
        wrong=[
            (wrong_count(0, "4 * D**2"), "your first number leaves out the biases"),
            (wrong_count(0, "(D + 1) * 3 * D"), "your first number stops after queries, keys and values."),
            (wrong_count(0, "3 * D * D"), "your first number holds the three matrices of Q, K and V alone."),
            (wrong_count(0, "D * (D + 1)"), "your first number counts one matrix."),
            (wrong_count(1, "D * H + H * D"), "your second number leaves out the biases"),
            (wrong_count(1, "(H + 1) * D * 2"), "your second number has D biases in both layers."),
            (wrong_count(1, "(D + 1) * H * 2"), "your second number has hidden_dim biases in both layers."),
            (wrong_count(1, "(D + 1) * H"), "your second number counts the first layer of the MLP alone."),
            (wrong_count(1, "D * 4 * D + 4 * D + 4 * D * D + D"), "your second number takes 4·D"),
            (wrong_count(2, "D + D"), "your third number counts one norm"),
            (wrong_count(2, "D"), "your third number is D."),
            (wrong_count(2, "2 * 2"), "your third number is 4."),
            (wrong_count(2, "0"), "your third number is 0."),
            (counting("4 * D**2", "2 * D * H", "0"), "your first number leaves out the biases of attention: one for"),
        ],
    ),
    "layer_norm": Answers(
        right=[by_torch, by_sums, by_loops],
        wrong=[
            (squares_summed, "you added the squares up."),
            (eps_outside, "your ε is outside the root."),
            (unbiased, "your variance is divided by D - 1"),
            (unbiased_and_outside, "two things: your ε is outside the root"),
            (without_eps, "your ε is missing: a token"),
            (unbiased_without_eps, "your ε is missing, and torch.std divides by D - 1"),
            (no_root, "you divided by the variance."),
            (only_centred, "you subtracted the mean, and did not divide"),
            (not_centred, "the mean is still there"),
            (rms_norm, "the mean was never subtracted. That is RMSNorm"),
            (no_gamma_no_beta, "γ and β are missing"),
            (no_beta, "β is missing"),
            (no_gamma, "γ is missing"),
            (without_brackets, "only the mean is divided by the root"),
            (beta_first, "you added beta before you multiplied by gamma"),
            (swapped_gamma_beta, "gamma and beta are swapped"),
            (over(1), "your mean and variance run over the tokens"),
            (over(0), "your mean and variance run over the batch. So does"),
            (over(0, 1), "your mean and variance run over the batch and the tokens"),
            (over(1, 2), "your mean and variance are those of a whole image."),
            (over_everything, "your mean and variance are those of all numbers at once."),
        ],
        unknown=[mean_of_the_first_token],
    ),
    "mlp": Answers(
        right=[WithDropout, BySequential, MyMLP],
        wrong=[
            (ByConvolutions, "`up.weight` belongs to no nn.Linear."),
            (ThreeLayers, "your class makes 3 layers nn.Linear."),
            (NoBend, "nothing bends between the two layers."),
            (bent_by(nn.ReLU()), "you used ReLU."),
            (bent_by(nn.GELU("tanh")), "you used the tanh approximation of GELU."),
            (bent_by(nn.SiLU()), "you used SiLU"),
            (bent_by(nn.Tanh()), "you used tanh."),
            (BentAtTheEnd, "GELU comes after the second layer"),
            (BentTwice, "there is a second GELU at the end."),
            (BentAtTheStart, "GELU comes before the first layer"),
            (WithResidual, "the input is added at the end."),
            (OnlyUp, "you returned the wide part."),
            (FourTimes, "your hidden layer always has 4·D numbers."),
            (NotWider, "your hidden layer has D numbers"),
            (HiddenAsRatio, "your hidden layer has D · hidden_dim numbers."),
            (NoBias, "the biases are missing"),
            (DownBeforeUp, "your second layer is made before the first."),
            (NoModuleMLP, "your class is no nn.Module"),
            (WithNorm, "`unused.weight` belongs to no nn.Linear."),
            (NoGradientMLP, "no gradient arrives at your parameters"),
            (DetachedInside, "no gradient arrives at `up`, so it never learns."),
            (FrozenFirstLayer, "no gradient arrives at `up`, so it never learns. Leave out requires_grad=False."),
            (DetachedInput, "no gradient goes on to what lies below your model"),
            (KeepsItsFirstBatch, "called a second time, with another batch"),
        ],
        unknown=[bent_by(nn.Sigmoid())],
    ),
    "encoder_block": Answers(
        right=[MyBlock, WithOwnMLP, CopiedWithGradient],
        wrong=[
            (PostNorm, "this is post-norm"),
            (NormAfterBranch, "your norms stand at the end of each branch"),
            (NormedStream, "you add the branches to the normed tokens."),
            (FirstNormedStream, "attention is added to the normed tokens."),
            (SecondNormedStream, "the MLP is added to the normed tokens."),
            (NoSecondPlus, "the second residual is missing"),
            (NoFirstPlus, "the first residual is missing"),
            (NoPlus, "both residuals are missing"),
            (OneNorm, "norm1 is used twice"),
            (NormsSwapped, "the norms are swapped"),
            (SideBySide, "both branches read the same x."),
            (PlusTheStart, "at the end you add to what came into the block"),
            (MLPFirst, "the MLP comes before attention."),
            (NoSecondNorm, "the second norm is missing"),
            (NoFirstNorm, "the first norm is missing"),
            (NoNorms, "the norms are never used"),
            (NormAtTheEnd, "norm2 stands at the end of the block."),
            (UsualEps, "your norms have PyTorch's usual ε"),
            (NarrowMLP, "your MLP is not wider than the token."),
            (OtherNames, "the parts have other names."),
            (OwnNamesInside, "the layers inside your parts have other names"),
            (NoModuleBlock, "your class is no nn.Module"),
            (NoGradientBlock, "no gradient arrives at your parameters"),
            (AttentionWithoutGradient, "no gradient arrives at `norm1` and `attn.qkv`"),
            (CopiedStream, "no gradient arrives at your parameters"),  # and it raises, as out is changed in place
            (DetachedStream, "no gradient goes on to what lies below your model"),
            (CutBesideAttention, "the gradient that goes on to what lies below is not that of this model"),
            (KeepsItsFirstSaying, "called a second time, with another batch"),
        ],
        unknown=[MeanOfTokens],
    ),
    "mended_block": Answers(
        right=[WithModule, ByHand, TwoModules, TwoWays],
        wrong=[
            (DropsAll, "in training your block says something else than in eval"),
            (Patient, "the fault is still there"),
            (Opposite, "dropout works in eval and rests in training"),
            (Seeded, "your block sets the seed itself."),
            (NoDropout, "there is no dropout any more"),
            (OnlyAttention, "attention is mended"),
            (OnlyMLP, "the MLP is mended"),
            (BareInBoth, "in both branches, F.dropout has no p"),
            (BareAfterAttention, "after attention, F.dropout has no p"),
            (BareAfterMLP, "after the MLP, F.dropout has no p"),
            (OtherEps, "dropout is mended, and your norms have PyTorch's usual ε"),
            (ShrunkInEval, "in eval you shrink what the branches say."),
            (OnTheStream, "while training, dropout falls on the residual stream."),
            (AnotherRate, "while training, another share than 0.2"),
            (NotDivided, "while training, what stays is not divided"),
            (OnWhatCameIn, "while training, dropout falls on the residual stream."),
            (AlphaDropout, "while training, a branch that says 0 adds something"),
            (BeforeTheBranches, "while training, dropout falls on what goes into a branch."),
            (BeforeTheMLP, "while training, dropout falls on what goes into a branch."),
            (NothingAfterAttention, "while training, nothing is dropped after attention."),
            (NothingAfterTheMLP, "while training, nothing is dropped after the MLP."),
            (WithoutGradient, "no gradient arrives at your parameters"),
            (DetachedBranch, "no gradient arrives at `norm1` and `attn.qkv`"),
            (InputDetached, "no gradient goes on to what lies below your model"),
        ],
        unknown=[MeanOfTokens],
    ),
}
