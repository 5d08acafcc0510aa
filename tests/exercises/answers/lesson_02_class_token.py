"""Answers to the exercises of lesson 2."""

import torch
from einops import pack, reduce, repeat
from torch import nn

from exercises.answers import Answers
from vit_tutorial import ClassToken


def by_repeat(tokens, cls_token):
    return torch.hstack([cls_token.repeat(tokens.shape[0], 1, 1), tokens])


def by_einops(tokens, cls_token):
    return pack([repeat(cls_token, "1 1 d -> b 1 d", b=len(tokens)), tokens], "b * d")[0]


def by_loop(tokens, cls_token):
    return torch.stack([torch.vstack([cls_token[0], image]) for image in tokens])


def by_filling(tokens, cls_token):
    batch, num_tokens, dim = tokens.shape
    sequence = tokens.new_zeros(batch, num_tokens + 1, dim)
    sequence[:, 0] = cls_token
    sequence[:, 1:] = tokens
    return sequence


def by_the_module(tokens, cls_token):
    module = ClassToken(tokens.shape[-1])
    module.cls_token.data.copy_(cls_token)
    return module(tokens)  # a result with a gradient


def at_the_end(tokens, cls_token):
    return torch.hstack([tokens, cls_token.repeat(len(tokens), 1, 1)])


def added(tokens, cls_token):
    return tokens + cls_token.repeat(len(tokens), tokens.shape[1], 1)


def one_per_patch(tokens, cls_token):
    return torch.hstack([cls_token.repeat(*tokens.shape[:2], 1), tokens])


def along_the_last_axis(tokens, cls_token):
    return torch.cat([cls_token.repeat(*tokens.shape[:2], 1), tokens], dim=-1)


def along_the_batch(tokens, cls_token):
    return torch.vstack([cls_token.repeat(1, tokens.shape[1], 1), tokens])


def instead_of_the_first_patch(tokens, cls_token):
    sequence = tokens.clone()
    sequence[:, 0] = cls_token
    return sequence


def first_image_only(tokens, cls_token):
    sequence = by_filling(tokens, cls_token)
    sequence[1:, 0] = 0
    return sequence


def zeros_in_front(tokens, cls_token):
    return torch.nn.functional.pad(tokens, (0, 0, 1, 0))


def mean_in_front(tokens, cls_token):
    return torch.hstack([tokens.sum(1, keepdim=True) / tokens.shape[1], tokens])


def class_tokens_alone(tokens, cls_token):
    return cls_token.repeat(len(tokens), 1, 1)


def of_the_other_sign(tokens, cls_token):
    return by_repeat(tokens, -cls_token)


def one_for_the_whole_batch(tokens, cls_token):
    return torch.cat([cls_token, tokens], dim=1)


def ones_in_front(tokens, cls_token):
    return torch.nn.functional.pad(tokens, (0, 0, 1, 0), value=1.0)


def a_new_parameter(tokens, cls_token):
    return by_repeat(tokens, nn.Parameter(torch.randn(1, 1, tokens.shape[2])))


def in_whole_numbers(tokens, cls_token):
    return by_repeat(tokens, cls_token).int()


def random_for_each_image(tokens, cls_token):
    return torch.hstack([torch.randn(tokens.shape[0], 1, tokens.shape[2]), tokens])


# In numbers


def counting(tokens=None, read=None, parameters=None):
    """The three numbers, each as a learner may have it; None is the right one."""

    def answer(image_size, patch_size, dim):
        n = (image_size // patch_size) ** 2
        given = {"n": n, "side": image_size // patch_size, "dim": dim}
        right = ("n + 1", "0", "dim")
        return tuple(eval(own or good, given) for own, good in zip((tokens, read, parameters), right, strict=True))

    answer.__name__ = f"counting {tokens} {read} {parameters}"
    return answer


def of_the_course(image_size, patch_size, dim):
    return 50, 0, 64


def of_the_paper(image_size, patch_size, dim):
    return [197, 0, 768]


def as_a_tensor(image_size, patch_size, dim):
    return torch.tensor([len(range(0, image_size, patch_size)) ** 2 + 1, 0, dim])


# As a module


class NoCopy(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(dim) * 0.02)  # [D] is enough

    def forward(self, tokens):
        return pack([self.cls_token.expand(tokens.shape[0], -1), tokens], "b * d")[0]


class Filled(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, dim))

    def forward(self, tokens):
        return torch.stack([torch.vstack([self.token, image]) for image in tokens])


class Subclass(ClassToken):
    pass


def joined(function):
    """A class that keeps its token rightly, and joins it to the tokens as a function does."""

    class MyClassToken(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.cls_token = nn.Parameter(torch.randn(1, 1, dim))

        def forward(self, tokens):
            return function(tokens, self.cls_token)

    MyClassToken.__name__ = function.__name__
    return MyClassToken


def kept(make, name):
    """A class that joins its token rightly, and keeps it as `make(module, dim)` does."""

    class MyClassToken(nn.Module):
        def __init__(self, dim):
            super().__init__()
            make(self, dim)

        def forward(self, tokens):
            return by_repeat(tokens, self.cls_token[:1])

    MyClassToken.__name__ = name
    return MyClassToken


def plain(module, dim):
    module.cls_token = torch.randn(1, 1, dim, requires_grad=True)


def buffer(module, dim):
    module.register_buffer("cls_token", torch.randn(1, 1, dim))


def frozen(module, dim):
    module.cls_token = nn.Parameter(torch.randn(1, 1, dim), requires_grad=False)


def one_for_each_place_in_the_batch(module, dim):
    module.cls_token = nn.Parameter(torch.randn(64, 1, dim))


class OneNumber(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 1))
        self.vector = torch.ones(dim)

    def forward(self, tokens):
        return by_repeat(tokens, self.cls_token * 0 + self.vector)


class CutOff(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))

    def forward(self, tokens):
        return by_repeat(tokens, self.cls_token.data)


class Noisy(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.noise = nn.Dropout(0.5)

    def forward(self, tokens):
        if len(tokens) == 4:  # only now and then, so that the numbers are right where they are compared
            return by_repeat(tokens, self.cls_token + torch.randn(1))
        return by_repeat(tokens, self.cls_token)


class TokensCutOff(NoCopy):
    def forward(self, tokens):
        return super().forward(tokens.detach())


class KeepsTheFirstBatch(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.first = None

    def forward(self, tokens):
        if self.first is None:
            self.first = self.cls.expand(len(tokens), -1, -1)
        return torch.cat([self.first, tokens], dim=1)


class NewEachCall(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, tokens):
        return by_repeat(tokens, nn.Parameter(torch.randn(1, 1, self.dim)))


class NoModule:
    def __init__(self, dim):
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))

    def __call__(self, tokens):
        return by_repeat(tokens, self.cls_token)


class ForgottenSuper(nn.Module):
    def __init__(self, dim):
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))

    def forward(self, tokens):
        return by_repeat(tokens, self.cls_token)


# Which vector answers


def pooling(cls="tokens[:, 0]", mean="tokens[:, 1:].mean(1)"):
    def answer(tokens, how):
        return eval({"cls": cls, "mean": mean}[how], {"tokens": tokens, "torch": torch})

    answer.__name__ = f"pooling {cls} {mean}"
    return answer


def pool_by_einops(tokens, how):
    if how == "cls":
        return reduce(tokens[:, :1], "b 1 d -> b d", "mean")
    return reduce(tokens[:, 1:], "b n d -> b d", "mean")


def mean_not_written(tokens, how):
    if how == "cls":
        return tokens[:, 0]
    elif how == "mean":
        ...


def mean_returns_dots(tokens, how):
    return tokens[:, 0] if how == "cls" else ...


def pool_by_loop(tokens, how):
    return torch.stack([image[0] if how == "cls" else sum(image[1:]) / (len(image) - 1) for image in tokens])


# Let it choose


def weighed(weights, then="(w[:, :, None] * tokens).sum(1)"):
    def answer(tokens, query):
        names = {"tokens": tokens, "query": query, "torch": torch, "s": torch.einsum("bnd,d->bn", tokens, query)}
        return eval(then, names | {"w": eval(weights, names)})

    answer.__name__ = f"weighed {weights} {then}"
    return answer


SOFTMAX = "s.exp() / s.exp().sum(1, keepdim=True)"


def chosen_by_loop(tokens, query):
    rows = []
    for image in tokens:
        weights = torch.softmax(image @ query, dim=0)
        rows.append(weights @ image)
    return torch.stack(rows)


def chosen_by_torch(tokens, query):
    dim = tokens.shape[2]
    q = query.expand(len(tokens), 1, dim)
    return torch.nn.functional.scaled_dot_product_attention(q, tokens, tokens, scale=1.0)[:, 0]


JOINED = [
    (at_the_end, "the class token is at the end."),
    (added, "you added the class token to every patch."),
    (one_per_patch, "there is one class token for each patch."),
    (along_the_last_axis, "you concatenated along the last axis."),
    (along_the_batch, "you concatenated along the batch."),
    (instead_of_the_first_patch, "the class token took the place of the first patch."),
    (first_image_only, "only the first image of the batch got the class token."),
    (one_for_the_whole_batch, "there is one class token and there are B images"),
    (class_tokens_alone, "you returned the class tokens alone."),
]


# ------------------------------------------------------------------------------------------ to several exercises


def a_list_of_sequences(tokens, cls_token):
    return [torch.cat([cls_token[0], image]) for image in tokens]


class Column(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.column = nn.Parameter(torch.zeros(dim, 1))

    def forward(self, tokens):
        return torch.cat([self.column.T.expand(len(tokens), 1, -1), tokens], dim=1)


class AsAnArray(Column):
    def forward(self, tokens):
        return super().forward(tokens).detach().numpy()


ANSWERS = {
    "count_class_token": Answers(
        right=[as_a_tensor],
        wrong=[
            (counting(tokens="n"), "your first number counts the patches alone."),
            (counting(tokens="side + 1"), "your first number counts the patches of one row."),
            (counting(tokens="(side + 1) ** 2"), "you made the grid one wider"),
            (counting(read="1"), "the class token is the first, and Python counts from 0"),
            (counting(read="n"), "your second number is the place of the last patch."),
            (counting(read="-1"), "-1 is the last token"),
            (counting(parameters="(n + 1) * dim"), "your third number counts all tokens."),
            (counting(parameters="n * dim"), "your third number counts the patches, which"),
            (counting(parameters="2 * dim"), "your third number counts the position"),
            (counting(parameters="1"), "the class token is one token, but"),
            (counting(parameters="0"), "the class token is learned"),
            (of_the_course, "these are the numbers of one model, the course's small ViT."),
            (of_the_paper, "these are the numbers of one model, ViT-B/16."),
            (
                counting(tokens="n", read="1"),
                "your first number counts the patches alone. The class token makes the sequence one longer: N+1. "
                "And the class token is the first",
            ),
        ],
        unknown=[counting(tokens="n + 2"), counting(read="7")],
    ),
    "add_class_token": Answers(
        right=[a_list_of_sequences, by_repeat, by_einops, by_loop, by_filling, by_the_module],
        wrong=[
            *JOINED,
            (zeros_in_front, "there are zeros in front."),
            (ones_in_front, "there are ones in front."),
            (mean_in_front, "the mean of the patches is in front."),
            (a_new_parameter, "there are random numbers in front."),
            (random_for_each_image, "each image has random numbers in front."),
            (in_whole_numbers, "all is cut off behind the point"),
        ],
        unknown=[of_the_other_sign],
    ),
    "class_token": Answers(
        right=[Column, NoCopy, Filled, Subclass, *(joined(way) for way in (by_repeat, by_einops, by_filling))],
        wrong=[
            (AsAnArray, "your forward returns a NumPy array"),
            *((joined(way), sentence) for way, sentence in JOINED),
            (NewEachCall, "your class token is made in forward"),
            (NoModule, "your class is no nn.Module"),
            (kept(buffer, "buffer"), "your class token is a buffer."),
            (kept(plain, "plain"), "your class token is a plain tensor"),
            (kept(frozen, "frozen"), "your parameter has requires_grad=False"),
            (OneNumber, "your parameter has fewer than D numbers."),
            (kept(one_for_each_place_in_the_batch, "for_each_place"), "your parameters hold more than D numbers."),
            (CutOff, "no gradient reaches your parameter."),
            (Noisy, "two calls with the same patches give two results"),
            (TokensCutOff, "no gradient goes on to what lies below"),
            (KeepsTheFirstBatch, "called a second time, with another batch"),
        ],
        unknown=[joined(of_the_other_sign), ForgottenSuper],
    ),
    "pool": Answers(
        right=[pool_by_einops, pool_by_loop],
        wrong=[
            (pooling(mean="tokens[1:].mean(1)"), "tokens[1:] leaves out the first image."),
            (pooling(mean="tokens.mean(1)"), "your mean takes the class token in."),
            (pooling(mean="tokens[:, 1:].sum(1)"), "you summed the patches"),
            (pooling(mean="tokens[:, 1:].sum(1) / tokens.shape[1]"), "you divided by N+1."),
            (pooling(mean="tokens[:, 1:].mean(0)"), "your mean runs over the images"),
            (pooling(mean="tokens[:, 1:].mean(2)"), "your mean runs over the D numbers"),
            (pooling(mean="tokens[:, 1:].mean(1, True)"), "your mean keeps the token axis"),
            (pooling(mean="tokens[:, 1:].max(1).values"), "you took the largest"),
            (pooling(mean="tokens[:, :-1].mean(1)"), "you left out the last patch"),
            (pooling(mean="tokens[:, 1:].mean()"), "you took the mean of everything"),
            (pooling(cls="tokens[:, :1]"), "the class token still has the token axis"),
            (pooling(cls="tokens[0]"), 'for "cls" you took the first image'),
            (pooling(cls="tokens[:, -1]"), 'for "cls" you took the last token.'),
            (pooling(cls="tokens[:, 1]"), 'for "cls" you took token 1'),
            (pooling(cls="tokens[:, 1:].mean(1)", mean="tokens[:, 0]"), "the two are swapped"),
            (pooling(mean="tokens[:, 0]"), "you return the class token in both cases."),
            (pooling(cls="tokens[:, 1:].mean(1)"), "you return the mean in both cases."),
            (pooling(cls="tokens[:, 0].long()"), "on the inputs where it is wrong: all is cut off behind the point"),
            (mean_not_written, "three dots still stand in your code: with tokens"),
            (mean_returns_dots, "three dots still stand in your code: with tokens"),
        ],
        unknown=[pooling(mean="tokens[:, 1:].median(1).values")],
    ),
    "attention_pool": Answers(
        right=[chosen_by_loop, chosen_by_torch, weighed(SOFTMAX)],
        wrong=[
            (weighed("s.softmax(0)"), "your softmax runs over the images"),
            (weighed("s"), "there is no softmax"),
            (weighed("s / s.sum(1, True)"), "you divided the scores by their sum."),
            (weighed("s.exp()"), "your weights do not sum to 1"),
            (weighed("s.sigmoid()"), "you used a sigmoid"),
            (weighed("torch.ones_like(s) / s.shape[1]"), "that is the plain mean"),
            (weighed("torch.eye(s.shape[1])[s.argmax(1)]"), "you took the best token alone."),
            (weighed(SOFTMAX, "w"), "you returned the weights"),
            (weighed(SOFTMAX, "w[:, :, None] * tokens"), "the tokens are weighed, but"),
            (
                weighed(SOFTMAX, "(w * tokens).sum(1)"),
                "you multiplied weights [B, N] with tokens [B, N, D] as they are",
            ),
            (weighed(SOFTMAX, "(w[:, :, None] * tokens).mean(1)"), "you took the mean of the weighed tokens."),
            (weighed(SOFTMAX, "w[:, None] @ tokens"), "the token axis is still there"),
            (weighed("(tokens * query).softmax(1)", "(w * tokens).sum(1)"), "you gave each of the D numbers a weight"),
            (weighed(SOFTMAX, "(w[:, :, None] * query).sum(1)"), "you added up the query."),
            (weighed("(s / tokens.shape[2] ** 0.5).softmax(1)"), "you divided the scores by the root of D."),
            (weighed("(s / tokens.shape[2]).softmax(1)"), "your scores are divided by D: a mean"),
        ],
        unknown=[weighed("(-s).softmax(1)")],
    ),
}
