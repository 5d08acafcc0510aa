"""Answers to the exercises of lesson 8."""

import functools
import itertools
import random

import numpy as np
import torch
from torch.nn import functional as F

from exercises.answers import Answers
from vit_tutorial.introspection import attention_maps, attention_rollout, patch_tokens

# ------------------------------------------------------------------------------------------ the lens


def lens_by_hand(tokens, norm, head):
    centred = tokens - tokens.mean(dim=-1, keepdim=True)
    normed = centred / (tokens.var(dim=-1, keepdim=True, correction=0) + norm.eps).sqrt()
    return (normed * norm.weight + norm.bias) @ head.weight.T + head.bias


def lens_token_by_token(tokens, norm, head):
    return torch.stack([head(norm(tokens[:, i])) for i in range(tokens.shape[1])], dim=1)


def forgets_norm(tokens, norm, head):
    return tokens @ head.weight.T + head.bias


def head_first(tokens, norm, head):
    logits = head(tokens)
    return norm(logits)


def normed_twice(tokens, norm, head):
    tokens = norm(tokens)
    return head(norm(tokens))


def plain_norm(tokens, norm, head):
    centred = tokens - tokens.mean(dim=-1, keepdim=True)
    return head(centred / (tokens.var(dim=-1, keepdim=True, correction=0) + 1e-6).sqrt())


def other_eps(tokens, norm, head):
    mine = torch.nn.LayerNorm(tokens.shape[-1]).to(tokens.dtype)
    mine.load_state_dict(norm.state_dict())
    return head(mine(tokens))


def reads_class_token(tokens, norm, head):
    return head(norm(tokens[:, 0]))


def reads_class_token_with_axis(tokens, norm, head):
    return head(norm(tokens[:, 0:1, :]))


def reads_patches(tokens, norm, head):
    return head(norm(tokens[:, 1:]))


def reads_first_picture(tokens, norm, head):
    return head(norm(tokens[0]))


def averages_logits(tokens, norm, head):
    return head(norm(tokens)).sum(dim=1) / tokens.shape[1]


def averages_tokens(tokens, norm, head):
    return head(norm(tokens.mean(dim=1)))


def lens_probabilities(tokens, norm, head):
    logits = head(norm(tokens)).exp()
    return logits / logits.sum(dim=-1, keepdim=True)


def lens_log_probabilities(tokens, norm, head):
    return F.log_softmax(head(norm(tokens)), dim=-1)


def lens_classes(tokens, norm, head):
    return head(norm(tokens)).max(dim=-1).indices


def without_biases(tokens, norm, head):
    return F.linear(norm(tokens), head.weight)


def without_head(tokens, norm, head):
    return norm(tokens)


def softmax_over_tokens(tokens, norm, head):
    return head(norm(tokens)).softmax(dim=1)


# ------------------------------------------------------------------------------------------ rollout


def half(a):
    return (a + torch.eye(a.shape[-1])) / 2


def rollout_by_loop(maps):
    result = half(maps[0].mean(dim=1))
    for weights in maps[1:]:
        result = half(weights.mean(dim=1)) @ result
    return result


def rollout_normalised(maps):
    result = torch.eye(maps[0].shape[-1], dtype=maps[0].dtype).repeat(len(maps[0]), 1, 1)
    for weights in torch.stack(maps).mean(dim=2):
        weights = weights + torch.eye(weights.shape[-1])
        result = torch.bmm(weights / weights.sum(dim=-1, keepdim=True), result)
    return result


def rollout_from_the_last(maps):
    layers = [half(weights.mean(1)) for weights in reversed(maps)]
    return functools.reduce(torch.matmul, layers)


def rollout_picture_by_picture(maps):
    pictures = []
    for i in range(len(maps[0])):
        layers = [half(weights[i].mean(0)) for weights in maps]
        pictures.append(functools.reduce(lambda so_far, layer: layer @ so_far, layers).numpy())
    return np.stack(pictures)


def rollout_with(layer_of, join=lambda layer, so_far: layer @ so_far):
    """Return a rollout by another layer, or joined in another way."""

    def answer(maps):
        return functools.reduce(lambda so_far, layer: join(layer, so_far), [layer_of(weights) for weights in maps])

    return answer


def mean_of_heads(weights):
    return weights.mean(dim=1)


def half_of_mean(weights):
    return half(mean_of_heads(weights))


def backwards(layer, so_far):
    return so_far @ layer


def number_by_number(layer, so_far):
    return so_far * layer


def keeps_the_beginning(maps):
    so_far = torch.eye(maps[0].shape[-1])
    for weights in maps:
        so_far = half(mean_of_heads(weights) @ so_far)
    return so_far


def one_residual(maps):
    return half(rollout_with(mean_of_heads)(maps))


def head_by_head(maps):
    alone = [rollout_with(lambda weights, i=i: half(weights[:, i]))(maps) for i in range(maps[0].shape[1])]
    return sum(alone) / len(alone)


def mean_of_layers(maps):
    return sum(map(half_of_mean, maps)) / len(maps)


def sum_of_layers(maps):
    return sum(map(half_of_mean, maps))


def last_layer(maps):
    for weights in maps:
        result = half_of_mean(weights)
    return result


def without_the_first(maps):
    result = torch.eye(maps[0].shape[-1]).expand(len(maps[0]), -1, -1)
    for weights in maps[1:]:
        result = half_of_mean(weights) @ result
    return result


def returns_inside_the_loop(maps):
    result = torch.eye(maps[0].shape[-1])
    for weights in maps:
        result = half_of_mean(weights) @ result
        return result


def class_row(maps):
    return rollout_by_loop(maps)[:, 0, :]


def class_row_of_patches(maps):
    return rollout_by_loop(maps)[:, 0, 1:]


def on_its_side(maps):
    return rollout_by_loop(maps).mT


def loses_the_last(maps):
    so_far = torch.eye(maps[0].shape[-1]).repeat(len(maps[0]), 1, 1)
    for weights in maps[:-1]:
        so_far = half(weights.mean(dim=1)) @ so_far
    return so_far


def keeps_the_heads(maps):
    so_far = torch.eye(maps[0].shape[-1]).repeat(len(maps[0]), 1, 1)
    for weights in maps:
        so_far = half(weights) @ so_far
    return so_far


def keeps_nothing(maps):
    so_far = torch.eye(maps[0].shape[-1]).repeat(len(maps[0]), 1, 1)
    for weights in maps:
        half(weights.mean(dim=1)) @ so_far
    return so_far


def without_the_last(maps):
    return rollout_by_loop(maps[:-1]) if len(maps) > 1 else rollout_by_loop(maps)


# ------------------------------------------------------------------------------------------ exchange tokens


def embed(model, images):
    return model.position(model.class_token(model.patch_embed(images)))


def step_by_step(model, images, others, block, tokens):
    x, y = embed(model, images), embed(model, others)
    for i, one in enumerate(model.blocks):
        if i == block:
            x = x.clone()
            x[:, tokens] = y[:, tokens]
        x, y = one(x), one(y)
    if block == len(model.blocks):
        x[:, tokens] = y[:, tokens]
    return model.head(model.norm(x[:, 0]))


def by_a_mask(model, images, others, block, tokens):
    x, y = (model.blocks[:block](embed(model, pictures)) for pictures in (images, others))
    swap = torch.zeros(x.shape[1], 1, dtype=torch.bool)
    swap[tokens] = True
    return model.classify(model.norm(model.blocks[block:](torch.where(swap, y, x))))


def by_the_course(model, images, others, block, tokens):
    return patch_tokens(model, images, block, tokens, others)


def exchanged(first=None, second=None, third=None, put=None, end=None, embed=embed):
    """Return an answer in which one line is another: the blocks of images and others, the exchange, the rest."""

    def answer(model, images, others, block, tokens):
        x = (first or (lambda blocks, k: blocks[:k]))(model.blocks, block)(embed(model, images))
        y = (second or (lambda blocks, k: blocks[:k]))(model.blocks, block)(embed(model, others))
        x = x.clone()
        if put is None:
            x[:, tokens] = y[:, tokens]
        else:
            x = put(x, y, tokens)
        x = (third or (lambda blocks, k: blocks[k:]))(model.blocks, block)(x)
        return (end or (lambda model, x: model.head(model.norm(x)[:, 0])))(model, x)

    return answer


def forgets_to_exchange(model, images, others, block, tokens):
    x = model.blocks[:block](embed(model, images))
    model.blocks[:block](embed(model, others))
    return model.head(model.norm(model.blocks[block:](x))[:, 0])


def exchanges_all(x, y, tokens):
    return y


def into_the_others(x, y, tokens):
    y = y.clone()
    y[:, tokens] = x[:, tokens]
    return y


def zeros(x, y, tokens):
    x[:, tokens] = 0
    return x


def mean_of_images(x, y, tokens):
    x[:, tokens] = x.mean(dim=0)[tokens]
    return x


def mean_of_others(x, y, tokens):
    x[:, tokens] = y.mean(dim=0)[tokens]
    return x


def added(x, y, tokens):
    x[:, tokens] += y[:, tokens]
    return x


def half_of_each(x, y, tokens):
    x[:, tokens] = 0.5 * x[:, tokens] + 0.5 * y[:, tokens]
    return x


def one_for_all_places(x, y, tokens):
    x[:, tokens] = y[:, tokens].mean(dim=1)[:, None]
    return x


def from_the_first(x, y, tokens):
    x[:, tokens] = y[0, tokens]
    return x


def inside_tokens(x, y, tokens):
    x[..., tokens] = y[..., tokens]
    return x


def at(places):
    def put(x, y, tokens):
        x[:, places(tokens)] = y[:, places(tokens)]
        return x

    return put


def just_one(blocks, k):
    return blocks[k]


def normed_block_by_block(model, images, others, block, tokens):
    x, y = model.blocks[:block](embed(model, images)), model.blocks[:block](embed(model, others))
    x = x.clone()
    x[:, tokens] = y[:, tokens]
    for layer in model.blocks[block:]:
        x = model.norm(layer(x))
    return model.head(x[:, 0])


def along_the_batch(x, y, tokens):
    x[tokens] = y[tokens]
    return x


def too_late(blocks, k):
    return blocks[: k + 1]


def too_early(blocks, k):
    return blocks[: max(0, k - 1)]


def picked_by_a_tensor(x, y, tokens):
    places = torch.tensor(tokens)
    x[:, places] = y[:, places]
    return x


def picked_by_whole_numbers(x, y, tokens):
    return x.index_copy(1, torch.tensor(tokens, dtype=torch.long), y[:, tokens])


def nothing_for_no_tokens(model, images, others, block, tokens):
    if tokens:
        return step_by_step(model, images, others, block, tokens)


def none_of(blocks, k):
    return blocks[:0]


def all_of(blocks, k):
    return blocks


def no_norm(model, x):
    return model.head(x[:, 0])


def each_token(model, x):
    return model.head(model.norm(x))


def mean_token(model, x):
    return model.head(model.norm(x).mean(dim=1))


def as_probabilities(model, x):
    return model.head(model.norm(x[:, 0])).softmax(dim=1)


def as_class(model, x):
    return model.head(model.norm(x[:, 0])).argmax(dim=1)


def last_token(model, x):
    return model.head(model.norm(x[:, -1]))


def without_positions(model, images):
    return model.class_token(model.patch_embed(images))


# ------------------------------------------------------------------------------------------ read distances


def near_by_loops(trained, untrained):
    nearest = min(untrained.flatten().tolist())
    found = []
    for block, row in enumerate(trained.tolist()):
        found += [(block, head) for head, distance in enumerate(row) if distance < nearest]
    return found


def near_as_a_tensor(trained, untrained):
    return torch.argwhere(trained < untrained.amin())


def near_as_two_tensors(trained, untrained):
    return torch.where(trained < untrained.amin())


def near_as_a_set(trained, untrained):
    return {(place // trained.shape[1], place % trained.shape[1]) for place in near_places(trained, untrained)}


def near_zipped(trained, untrained):
    return zip(*(places.tolist() for places in near_as_two_tensors(trained, untrained)), strict=True)


def near_mapped(trained, untrained):
    return map(tuple, near_as_a_tensor(trained, untrained).tolist())


def near_in_brackets(trained, untrained):
    return (pair for pair in near_by_loops(trained, untrained))


def near_by_yield(trained, untrained):
    yield from near_by_loops(trained, untrained)


def near_places(trained, untrained):
    return [place for place, value in enumerate(trained.flatten()) if value < untrained.min()]


def compared(limit):
    """Return an answer that takes another limit than the nearest untrained head."""
    return lambda trained, untrained: (trained < limit(trained, untrained)).nonzero().tolist()


def where_they_differ(trained, untrained):
    return (untrained.min() - trained).nonzero()


def nearer_than_one(trained, untrained):
    return (untrained > trained).any(dim=0).nonzero().tolist()


def blocks_alone(trained, untrained):
    return [block for block, _ in near_by_loops(trained, untrained)]


def heads_alone(trained, untrained):
    return [head for _, head in near_by_loops(trained, untrained)]


def nearest_alone(trained, untrained):
    return [np.unravel_index(trained.argmin().item(), trained.shape)]


def tie_wins(trained, untrained):
    return (trained <= untrained.min()).nonzero()


def far_heads(trained, untrained):
    return (trained > untrained.max()).nonzero().tolist()


def turned_round(trained, untrained):
    return [(b, h) for b, row in enumerate(trained.tolist()) for h, far in enumerate(row) if far > untrained.min()]


def head_first_pairs(trained, untrained):
    return (trained < untrained.min()).T.nonzero().tolist()


def counted_from_one(trained, untrained):
    return (trained < untrained.min()).nonzero() + 1


def as_table(trained, untrained):
    return trained.lt(untrained.min())


def as_distances(trained, untrained):
    return [value for value in trained.flatten().tolist() if value < untrained.min()]


def as_number(trained, untrained):
    return len(near_by_loops(trained, untrained))


def none_at_all(trained, untrained):
    return []


# ------------------------------------------------------------------------------------------ a control


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def shuffled_by_loop(ranking, seed):
    generator = seeded(seed)
    return torch.stack([row[torch.randperm(len(row), generator=generator)] for row in ranking])


def shuffled_with_a_seed_each(ranking, seed):
    rows = [row[torch.randperm(len(row), generator=seeded(1000 * seed + i))] for i, row in enumerate(ranking)]
    return torch.stack(rows)


def shuffled_by_numpy(ranking, seed):
    return np.random.default_rng(seed).permuted(ranking.numpy(), axis=1)


def shuffled_in_a_fork(ranking, seed):
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return torch.gather(ranking, 1, torch.rand(ranking.shape).argsort(dim=1))


def not_shuffled(ranking, seed):
    return ranking.clone()


def turned_over(ranking, seed):
    return torch.flip(ranking, dims=[1])


def in_order(ranking, seed):
    return torch.sort(ranking, dim=1, descending=True)[0]


def upwards(ranking, seed):
    return torch.sort(ranking, dim=1)[0]


def new_numbers(ranking, seed):
    return torch.randn(ranking.shape, generator=seeded(seed))


def random_places(ranking, seed):
    return torch.stack([torch.randperm(ranking.shape[1], generator=seeded(seed + i)) for i in range(len(ranking))])


def drawn_again(ranking, seed):
    number = ranking.shape[1]
    rows = [row[torch.randint(0, number, (number,), generator=seeded(seed + i))] for i, row in enumerate(ranking)]
    return torch.stack(rows)


def all_together(ranking, seed):
    flat = ranking.reshape(-1)
    return flat[torch.randperm(len(flat), generator=seeded(seed))].view_as(ranking)


def pictures_shuffled(ranking, seed):
    return ranking[torch.randperm(ranking.shape[0], generator=seeded(seed))]


def shuffled_across(ranking, seed):
    return ranking.gather(0, torch.rand(ranking.shape, generator=seeded(seed)).argsort(dim=0))


def seeds_python(ranking, seed):
    random.seed(seed)
    return torch.tensor([random.sample(row, len(row)) for row in ranking.tolist()])


def never_seeded(ranking, seed):
    return torch.stack([row[torch.randperm(len(row))] for row in ranking])


def always_seed_0(ranking, seed):
    return shuffled_by_loop(ranking, 0)


def columns_shuffled(ranking, seed):
    return ranking[:, torch.randperm(ranking.shape[1], generator=seeded(seed))]


def seeded_again_for_each(ranking, seed):
    return torch.stack([row[torch.randperm(len(row), generator=seeded(seed))] for row in ranking])


def rolled_one_by_one(ranking, seed):
    generator = seeded(seed)
    shifts = [int(torch.randint(1, ranking.shape[1], (1,), generator=generator)) for _ in ranking]
    return torch.stack([row.roll(shift) for row, shift in zip(ranking, shifts, strict=True)])


def first_patch_stays(ranking, seed):
    return torch.cat([ranking[:, :1], shuffled_by_loop(ranking[:, 1:], seed)], dim=1)


def seeds_the_notebook(ranking, seed):
    torch.manual_seed(seed)
    return torch.stack([row[torch.randperm(len(row))] for row in ranking])


def one_row(ranking, seed):
    return shuffled_by_loop(ranking, seed)[0]


# ------------------------------------------------------------------------------------------ the clinic

FOUND = {"A": "column", "B": "residual", "C": "well", "D": "hook", "E": "pictures", "F": "order"}


def all_found(patients):
    return {letter: FOUND[letter] for letter in patients}


def saying(**words):
    return lambda patients: {**FOUND, **words}


def as_a_list(patients):
    return [FOUND[letter] for letter in patients]


def one_forgotten(patients):
    return {letter: word for letter, word in FOUND.items() if letter != "F"}


def listen(model, images):
    maps = []
    hooks = [
        block.attn.attn_drop.register_forward_hook(lambda part, given, weights: maps.append(weights))
        for block in model.blocks
    ]
    model(images)
    for hook in hooks:
        hook.remove()
    return maps


def listen_unfused(model, images):
    for block in model.blocks:
        block.attn.fused_attn = False
    maps = listen(model, images)
    for block in model.blocks:
        block.attn.fused_attn = True
    return maps


def where(collect=listen_unfused, heads=1, residual=True, left=True, read=lambda rollout: rollout[:, 0, 1:]):
    """Return the colleague's function with some of its lines mended."""

    def where_it_looked(model, images):
        maps = collect(model, images)
        identity = torch.eye(model.grid_size[0] * model.grid_size[1] + 1)
        rollout = identity.expand(len(images), -1, -1)
        for weights in maps:
            layer = weights.mean(dim=heads) if isinstance(heads, int) else heads(weights)
            layer = (layer + identity) / 2 if residual is True else residual(layer, identity) if residual else layer
            rollout = layer @ rollout if left else rollout @ layer
        return read(rollout)

    return where_it_looked


def column(rollout):
    return rollout[:, 1:, 0]


def by_the_courses_functions(model, images):
    return attention_rollout(attention_maps(model, images))[:, 0, 1:]


def from_queries_and_keys(model, images):
    given = []
    hooks = [block.attn.qkv.register_forward_hook(lambda part, x, y: given.append(y)) for block in model.blocks]
    model(images)
    for hook in hooks:
        hook.remove()
    maps = []
    for block, numbers in zip(model.blocks, given, strict=True):
        heads = numbers.unflatten(2, (3, block.attn.num_heads, -1)).permute(2, 0, 3, 1, 4)  # [3, B, h, N, d]
        q, k = heads[:2]
        maps.append((q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1))
    return rollout_by_loop(maps)[:, 0, 1:]


def hooks_stay(model, images):
    maps = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda part, given, weights: maps.append(weights))
    model(images)
    for block in model.blocks:
        block.attn.fused_attn = True
    return rollout_by_loop(maps)[:, 0, 1:]


def fused_stays_off(model, images):
    for block in model.blocks:
        block.attn.fused_attn = False
    return rollout_by_loop(listen(model, images))[:, 0, 1:]


KEPT = []


def listen_outside(model, images):
    for block in model.blocks:
        block.attn.fused_attn = False
    hooks = [
        block.attn.attn_drop.register_forward_hook(lambda part, given, weights: KEPT.append(weights))
        for block in model.blocks
    ]
    model(images)
    for block, hook in zip(model.blocks, hooks, strict=True):
        block.attn.fused_attn = True
        hook.remove()


def keeps_all_maps(model, images):
    listen_outside(model, images)
    return rollout_by_loop(KEPT)[:, 0, 1:]


def keeps_all_maps_as_a_default(model, images, maps=[]):  # noqa: B006  as a learner writes
    maps.extend(listen_unfused(model, images))
    return rollout_by_loop(maps)[:, 0, 1:]


def empties_its_list(model, images):
    KEPT.clear()
    listen_outside(model, images)
    return rollout_by_loop(KEPT)[:, 0, 1:]


def reads_its_newest_maps(model, images):
    listen_outside(model, images)
    return rollout_by_loop(KEPT[-len(model.blocks) :])[:, 0, 1:]


def after(change, back=lambda model: None):
    """Return the right answer, before which the model is changed, and after which it is changed back."""

    def where_it_looked(model, images):
        change(model)
        found = where()(model, images)
        back(model)
        return found

    return where_it_looked


def keeps_the_mode(model, images):
    mode = model.training
    return after(lambda model: model.eval(), lambda model: model.train(mode))(model, images)


def last_layer_alone(model, images):
    return half_of_mean(listen_unfused(model, images)[-1])[:, 0, 1:]


def stretched(rollout):
    rows = rollout[:, 0, 1:]
    return rows / rows.max(dim=1, keepdim=True).values


MANY = {"heads": 0, "residual": False, "left": False, "read": column}
STILL = {
    "heads": "weights.mean(dim=0) averages over the pictures. It was written for one picture, [h, N, N]; in "
    "[B, h, N, N] the heads are axis 1.",
    "residual": "the residual is missing: (A + I) / 2 for each layer.",
    "left": "the product runs the wrong way round: the newest layer stands on the left.",
    "read": "you read the class token's column, who looks *at* it. Where *it* looks is its row: [:, 0, 1:].",
}


def half_mended():
    """Return an answer for each choice of faults that are left, from one to four, with the whole sentence."""
    entries = []
    for number in range(1, len(MANY) + 1):
        for left in itertools.combinations(MANY, number):
            said = " And ".join(STILL[line] for line in left)
            wrong = where(**{line: MANY[line] for line in left})
            entries.append((wrong, said if number == 1 else f"{number} things: {said}"))
    return entries


# ------------------------------------------------------------------------------------------ to several exercises


def lens_picture_by_picture(tokens, norm, head):
    return [head(norm(picture)) for picture in tokens]


def exchanged_in_one_loop(model, images, others, k, tokens):
    x, y = (model.position(model.class_token(model.patch_embed(each))) for each in (images, others))
    for i, block in enumerate(model.blocks):
        if i == k:
            x[:, tokens] = y[:, tokens]
        x, y = block(x), block(y)
    return model.head(model.norm(x)[:, 0])


def near_otherwise(give):
    """Return an answer that gives the pairs in another way."""
    return lambda trained, untrained: give(near_by_loops(trained, untrained))


def a_list_of_shuffled(ranking, seed):
    return list(shuffled_by_loop(ranking, seed))


def few_seeds(ranking, seed):
    return shuffled_by_loop(ranking, seed % 10)


ANSWERS = {
    "lens": Answers(
        right=[lens_picture_by_picture, lens_by_hand, lens_token_by_token],
        wrong=[
            (forgets_norm, "the last norm is missing."),
            (head_first, "the norm comes after the head."),
            (normed_twice, "the norm works twice."),
            (plain_norm, "your norm has no γ and β."),
            (lambda tokens, norm, head: head(torch.nn.LayerNorm(tokens.shape[-1])(tokens)), "your norm is a new one"),
            (other_eps, "your norm has PyTorch's usual ε"),
            (reads_class_token, "you read the class token alone."),
            (reads_class_token_with_axis, "you read the class token alone."),
            (reads_patches, "the class token is left out."),
            (reads_first_picture, "you read one picture."),
            (averages_logits, "you averaged over the tokens."),
            (averages_tokens, "you averaged over the tokens."),
            (lens_probabilities, "you applied softmax."),
            (lens_log_probabilities, "you applied log_softmax."),
            (lens_classes, "you returned the best class of each token."),
            (without_biases, "the head's biases are missing."),
            (without_head, "the head is missing"),
        ],
        unknown=[softmax_over_tokens],
    ),
    "rollout": Answers(
        right=[
            rollout_by_loop,
            rollout_normalised,
            rollout_from_the_last,
            rollout_picture_by_picture,
            attention_rollout,
        ],
        wrong=[
            (rollout_with(half_of_mean, backwards), "the product runs the wrong way round."),
            (rollout_with(mean_of_heads), "the residual is missing."),
            (rollout_with(mean_of_heads, backwards), "two things: the residual is missing"),
            (
                rollout_with(lambda weights: mean_of_heads(weights) + torch.eye(weights.shape[-1])),
                "your rows no longer sum to 1. A + I",
            ),
            (
                rollout_with(lambda weights: 0.5 * mean_of_heads(weights) + torch.eye(weights.shape[-1])),
                "your rows no longer sum to 1: only A is halved.",
            ),
            (rollout_with(lambda weights: (mean_of_heads(weights) + 1) / 2), "you added 1 to every number."),
            (keeps_the_beginning, "half of each layer is what the tokens began with."),
            (one_residual, "the residual comes once, at the end."),
            (rollout_with(lambda weights: half(weights.max(dim=1).values)), "you took the largest of the heads."),
            (rollout_with(lambda weights: half(weights.sum(dim=1))), "you added the heads up."),
            (rollout_with(lambda weights: half(weights[:, 0])), "you followed head 0 alone."),
            (rollout_with(lambda weights: half(weights.mean(dim=0))), "you averaged over the pictures."),
            (head_by_head, "you followed each head alone"),
            (rollout_with(half_of_mean, number_by_number), "you multiplied number by number."),
            (mean_of_layers, "you averaged the layers."),
            (sum_of_layers, "you added the layers up."),
            (last_layer, "only the last layer counts in yours."),
            (without_the_first, "the first layer is left out."),
            (loses_the_last, "the last layer is left out."),
            (keeps_the_heads, "the mean over the heads is missing"),
            (rollout_with(lambda weights: half(weights.mean().expand_as(weights[:, 0]))), "you took the mean of all"),
            (keeps_nothing, "this is the identity"),
            (returns_inside_the_loop, "only the first layer counts in yours."),
            (class_row, "you returned the class token's row. Return"),
            (class_row_of_patches, "you returned the class token's row without its first number."),
            (on_its_side, "your result is transposed"),
        ],
        unknown=[without_the_last],
    ),
    "exchange": Answers(
        right=[step_by_step, by_a_mask, by_the_course, exchanged(put=picked_by_whole_numbers)],
        wrong=[
            (exchanged_in_one_loop, "where k is the number of blocks, nothing is exchanged"),
            (forgets_to_exchange, "nothing of `others` came in"),
            (exchanged(put=exchanges_all), "nothing of `images` is left"),
            (exchanged(put=into_the_others), "it is the wrong way round"),
            (exchanged(too_late, too_late, lambda blocks, k: blocks[k + 1 :]), "you exchange one block too late."),
            (
                exchanged(too_early, too_early, lambda blocks, k: blocks[max(0, k - 1) :] if k else blocks[-1:]),
                "you exchange one block too early.",
            ),
            (exchanged(none_of, none_of, all_of), "you exchange before the first block"),
            (exchanged(all_of, all_of, none_of), "you exchange after the last block"),
            (exchanged(second=none_of), "the tokens of `others` have not been through any block."),
            (exchanged(second=all_of), "the tokens of `others` have been through all blocks."),
            (exchanged(third=all_of), "after the exchange all blocks run once more."),
            (exchanged(third=none_of), "after the exchange no block runs."),
            (exchanged(too_late, too_late), "one block too many runs before the exchange"),
            (exchanged(third=lambda blocks, k: blocks[k + 1 :]), "one block is left out."),
            (exchanged(put=zeros), "you put in zeros."),
            (exchanged(put=mean_of_images), "you put in the mean of `images`."),
            (exchanged(put=mean_of_others), "you put in the mean of `others`."),
            (exchanged(put=added), "you added the tokens of `others`"),
            (exchanged(put=half_of_each), "you put in the mean of both pictures' tokens."),
            (exchanged(put=one_for_all_places), "every exchanged place gets the same"),
            (exchanged(put=from_the_first), "every picture gets the tokens of the first of `others`."),
            (exchanged(put=inside_tokens), "you exchanged numbers inside every token"),
            (exchanged(put=at(lambda tokens: slice(1, 5))), "all patches were exchanged"),
            (exchanged(put=at(lambda tokens: 0)), "the class token was exchanged"),
            (exchanged(put=at(lambda tokens: [t + 1 for t in tokens])), "you exchanged the tokens one place too late."),
            (
                exchanged(put=at(lambda tokens: [t - 1 for t in tokens])),
                "you exchanged the tokens one place too early.",
            ),
            (exchanged(all_of, all_of), "all blocks run before the exchange"),
            (exchanged(just_one, just_one), "model.blocks[k] is block number k alone."),
            (normed_block_by_block, "the last norm works after every block"),
            (exchanged(put=picked_by_a_tensor), "`tokens` may be empty"),
            (nothing_for_no_tokens, "it returned None with model = a ViT"),
            (exchanged(put=along_the_batch), "x[tokens] picks pictures."),
            (exchanged(end=no_norm), "the last norm is missing."),
            (exchanged(end=each_token), "every token goes through the head."),
            (exchanged(end=mean_token), "the head reads the mean of all tokens."),
            (exchanged(embed=without_positions), "the positions were never added"),
            (exchanged(end=as_probabilities), "you applied softmax."),
            (exchanged(end=as_class), "you returned the number of the best class."),
        ],
        unknown=[exchanged(end=last_token)],
    ),
    "near_heads": Answers(
        right=[near_by_loops, near_as_a_tensor, near_as_a_set],
        wrong=[
            (near_otherwise(lambda pairs: [f"block {block}" for block, _ in pairs]), "your list holds 'block"),
            (near_otherwise(lambda pairs: [{"block": block} for block, _ in pairs]), "your list holds a dict"),
            (
                near_otherwise(lambda pairs: [[list(pair) for pair in pairs]]),
                "your pairs stand in a list within a list.",
            ),
            (compared(lambda trained, untrained: untrained.amax()), "you compared with the farthest untrained head."),
            (
                compared(lambda trained, untrained: untrained.mean()),
                "you compared with the mean of the untrained heads.",
            ),
            (
                compared(lambda trained, untrained: untrained.flatten().median()),
                "you compared with the median of the untrained heads.",
            ),
            (
                compared(lambda trained, untrained: untrained.min(dim=0).values),
                "you compared each head with the untrained heads of the same place.",
            ),
            (
                compared(lambda trained, untrained: untrained.mean(dim=0)),
                "you compared each head with the mean of the untrained heads of the same place.",
            ),
            (
                compared(lambda trained, untrained: untrained.amin(dim=(0, 2)).unsqueeze(1)),
                "you compared block by block.",
            ),
            (
                compared(lambda trained, untrained: untrained.amin(dim=(0, 1))),
                "you compared with the untrained heads of",
            ),
            (
                compared(lambda trained, untrained: untrained.mean() - 2 * untrained.std()),
                "your limit lies some standard deviations below the mean.",
            ),
            (where_they_differ, "you asked where a difference is not 0."),
            (nearer_than_one, "one untrained head, in the same place"),
            (blocks_alone, "you returned the blocks alone."),
            (heads_alone, "you returned the heads alone."),
            (compared(lambda trained, untrained: untrained[0].min()), "you used the first untrained model alone."),
            (tie_wins, "you let a tie win."),
            (far_heads, "these are the heads that look farther"),
            (turned_round, "these are the heads that are *not* near."),
            (compared(lambda trained, untrained: trained.mean()), "you compared with the model's own mean."),
            (nearest_alone, "you returned the nearest head alone."),
            (head_first_pairs, "your pairs are (head, block)."),
            (counted_from_one, "you count from 1."),
            (near_places, "you returned places in the flattened table."),
            (as_table, "you returned the table of True and False."),
            (as_distances, "you returned the distances of the near heads."),
            (near_as_two_tensors, "you returned the blocks in one tensor and the heads in another."),
            (as_number, "you returned how many there are."),
            (near_zipped, "what you returned can be gone through only once: put list(…) around it."),
            (near_mapped, "what you returned can be gone through only once"),
            (near_in_brackets, "what you returned can be gone through only once"),
            (near_by_yield, "your function is a generator"),
        ],
        unknown=[none_at_all],
    ),
    "shuffled_control": Answers(
        right=[a_list_of_shuffled, shuffled_by_loop, shuffled_with_a_seed_each, shuffled_by_numpy, shuffled_in_a_fork],
        wrong=[
            (few_seeds, "the seeds 0 and 10 give the same order."),
            (not_shuffled, "nothing has moved"),
            (turned_over, "this is the ranking backwards."),
            (in_order, "this is the ranking sorted"),
            (upwards, "this is the ranking sorted"),
            (new_numbers, "these are new numbers."),
            (random_places, "you returned the order"),
            (drawn_again, "some values are there twice"),
            (shuffled_across, "values moved from one picture to another, each to the same patch."),
            (pictures_shuffled, "the pictures have changed places"),
            (all_together, "values moved from one picture to another."),
            (never_seeded, "the second call with the same seed gave another order."),
            (always_seed_0, "every seed gives the same order."),
            (columns_shuffled, "all pictures are shuffled in the same order."),
            (seeded_again_for_each, "all pictures are shuffled in the same order."),
            (rolled_one_by_one, "the values keep their order"),
            (first_patch_stays, "some patches never move."),
            (seeds_python, "you used the random numbers of the whole notebook"),
            (seeds_the_notebook, "you used the random numbers of the whole notebook"),
        ],
        unknown=[one_row],
    ),
    "map_clinic": Answers(
        right=[all_found, saying()],
        wrong=[
            (saying(A="well"), "look at patient A's planted numbers and at its sum."),
            (saying(B="order"), "look at patient B's planted numbers."),
            (saying(C="pictures"), "look at patient C's line again"),
            (saying(D="column"), "look at patient D's sum."),
            (saying(E="well"), "ask patient E about a picture alone"),
            (saying(F="residual"), "look at patient F's planted numbers."),
            (saying(B="healthy"), "the word for patient "),
            (one_forgotten, "there is no word for patient "),
            (as_a_list, "Return a dict"),
        ],
    ),
    "mended_map": Answers(
        right=[
            where(),
            by_the_courses_functions,
            from_queries_and_keys,
            empties_its_list,
            reads_its_newest_maps,
            keeps_the_mode,
        ],
        wrong=[
            (where(listen, **MANY), "your map is all zero"),
            (where(listen), "your map is all zero"),
            *half_mended(),
            (where(residual=lambda layer, identity: layer + identity), "the rows of A + I sum to 2."),
            (where(heads=lambda weights: weights.amax(dim=1)), "you took the largest of the heads."),
            (where(heads=lambda weights: weights[:, 0]), "you followed head 0 alone."),
            (last_layer_alone, "only the last layer counts in yours."),
            (where(read=lambda rollout: rollout[:, 0]), "the class token's own share is still in front."),
            (where(read=lambda rollout: rollout[:, 0, :-1]), "the map is moved by one patch"),
            (where(read=lambda rollout: rollout[:, 1:, 1:].mean(dim=1)), "you averaged where the patches look."),
            (where(read=lambda rollout: rollout), "you returned the whole rollout."),
            (where(read=stretched), "you divided each map by its largest number."),
            (hooks_stay, "your hooks are still on the model."),
            (fused_stays_off, "you left the fused kernel switched off"),
            (keeps_all_maps, "your list keeps the maps of earlier calls: make it inside."),
            (keeps_all_maps_as_a_default, "your list keeps the maps of earlier calls"),
            (after(lambda model: model.train()), "you left the model in another mode"),
            (after(lambda model: model.eval()), "you left the model in another mode"),
            (after(lambda model: model.requires_grad_(False)), "you changed which parameters of the model learn"),
        ],
        unknown=[where(heads=lambda weights: weights.amin(dim=1))],
    ),
}
