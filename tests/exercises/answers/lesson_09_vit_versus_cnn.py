"""Answers to the exercises of lesson 9."""

import statistics

import numpy as np
import torch

from exercises.answers import Answers

# ------------------------------------------------------------------------------------------ what a place can see


def seen_from_above(layers):
    width = 1
    for kernel, stride in reversed(layers):  # so many places of the layer below, from the last layer down
        width = (width - 1) * stride + kernel
    return [width, int(np.prod([stride for _, stride in layers]))]


def seen_by_marking(layers):
    first, last = torch.zeros(1), torch.zeros(1)
    sizes = [1]
    for _, stride in layers:
        sizes.append(sizes[-1] * stride)
    for (kernel, _), step in zip(layers, sizes, strict=False):
        first, last = first - (kernel - 1) / 2 * step, last + (kernel - 1) / 2 * step
    return int(last - first) + 1, sizes[-1]


def seen(add=lambda kernel, stride, step: (kernel - 1) * step, grow=lambda step, stride: step * stride, begin=(1, 1)):
    """Return a way to count that may do one thing otherwise."""

    def answer(layers):
        width, step = begin
        for kernel, stride in layers:
            width, step = width + add(kernel, stride, step), grow(step, stride)
        return width, step

    return answer


def kernels_multiplied(layers):
    width, step = 1, 1
    for kernel, stride in layers:
        width *= kernel
        step *= stride
    return width, step


def of_some(cut):
    return lambda layers: seen_from_above(cut(layers))


def first_pair_turned(layers):
    return seen_from_above(layers)[::-1]


def width_alone(layers):
    return seen_from_above(layers)[0]


def area(layers):
    width, step = seen_from_above(layers)
    return width * width, step


def radius(layers):
    width, step = seen_from_above(layers)
    return width // 2, step


def strides_summed(layers):
    return seen_from_above(layers)[0], sum(stride for _, stride in layers)


def last_stride(layers):
    return seen_from_above(layers)[0], layers[-1][1]


# ------------------------------------------------------------------------------------------ rows of positions


def rows_taken_back(pos_embed, order):
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order))
    return torch.cat([pos_embed[:, :1], pos_embed[:, 1:][:, back]], dim=1)


def rows_by_argsort(pos_embed, order):
    return pos_embed[:, torch.cat([torch.tensor([0]), 1 + order.argsort()])]


def rows_one_by_one(pos_embed, order):
    new = pos_embed.numpy().copy()
    for i, place in enumerate(order.tolist()):
        new[0, place + 1] = pos_embed[0, i + 1].numpy()
    return new


def rows_gathered(pos_embed, order):
    new = pos_embed.clone()
    new[:, 1:] = pos_embed[:, 1 + order]
    return new


def rows_by_order_alone(pos_embed, order):
    return torch.index_select(pos_embed, 1, order)


def class_token_overwritten(pos_embed, order):
    new = pos_embed.clone()
    new[:, order] = pos_embed[:, 1:]
    return new


def rows_one_too_early(pos_embed, order):
    new = pos_embed.clone()
    new[:, order] = pos_embed[:, : len(order)]
    return new


def rows_gathered_one_too_early(pos_embed, order):
    new = pos_embed.clone()
    new[:, : len(order)] = pos_embed[:, order]
    return new


def without_class_token(pos_embed, order):
    return rows_by_argsort(pos_embed, order)[:, 1:]


def gathered_without_class_token(pos_embed, order):
    return pos_embed[:, 1 + order]


def not_moved(pos_embed, order):
    return pos_embed


def all_turned(pos_embed, order):
    return torch.flip(pos_embed, dims=[1])


def patches_turned(pos_embed, order):
    return torch.cat([pos_embed[:, :1], pos_embed[:, 1:].flip(1)], dim=1)


def without_front(pos_embed, order):
    return rows_by_argsort(pos_embed, order).squeeze(0)


def class_token_zero(pos_embed, order):
    new = torch.zeros(pos_embed.shape, dtype=pos_embed.dtype)
    for i in range(len(order)):
        new[:, 1 + order[i]] = pos_embed[:, 1 + i]
    return new


def rows_halved(pos_embed, order):
    return rows_by_argsort(pos_embed, order) / 2 + 1


# ------------------------------------------------------------------------------------------ moved pictures

FOUR = [(1, 0), (-1, 0), (0, 1), (0, -1)]


def moves_by_cutting(model, images, pixels):
    side = images.shape[-1]
    up = torch.cat([images[:, :, pixels:], images[:, :, :pixels]], dim=2)
    down = torch.cat([images[:, :, side - pixels :], images[:, :, : side - pixels]], dim=2)
    left = torch.cat([images[..., pixels:], images[..., :pixels]], dim=3)
    right = torch.cat([images[..., side - pixels :], images[..., : side - pixels]], dim=3)
    before = model(images).max(dim=1).indices
    stays = [(model(moved).max(dim=1).indices == before).tolist() for moved in (up, down, left, right)]
    return statistics.mean(float(one) for row in stays for one in row)


def in_one_batch(model, images, pixels):
    moved = torch.cat([images.roll(by, dims=dim) for dim in (-1, -2) for by in (pixels, -pixels)])
    with torch.no_grad():
        after, before = model(moved).argmax(-1), model(images).argmax(-1)
    return (after == before.repeat(4)).float().mean().item()


def stays(moves=FOUR, move=None, said=None, put=None):
    """Return a count of the answers that stay, by moves, a way to move, to read and to put together."""
    move = move or (lambda images, rows, columns: images.roll((rows, columns), dims=(-2, -1)))
    said = said or (lambda logits: logits.argmax(dim=1))
    put = put or (lambda rows: torch.stack(rows).float().mean())

    def answer(model, images, pixels):
        with torch.no_grad():
            before = said(model(images))
            return put([said(model(move(images, r * pixels, c * pixels))) == before for r, c in moves])

    return answer


def black_at_the_border(images, rows, columns):
    moved = torch.zeros_like(images)
    height, width = images.shape[2:]
    moved[:, :, max(rows, 0) : height + min(rows, 0), max(columns, 0) : width + min(columns, 0)] = images[
        :, :, max(-rows, 0) : height + min(-rows, 0), max(-columns, 0) : width + min(-columns, 0)
    ]
    return moved


def changes(model, images, pixels):
    return 1 - in_one_batch(model, images, pixels)


def in_percent(model, images, pixels):
    return 100 * in_one_batch(model, images, pixels)


def by_one(model, images, pixels):
    return in_one_batch(model, images, 1)


def moved_on_and_on(model, images, pixels):
    before, shares = model(images).argmax(1), []
    for r, c in [(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)]:
        images = images.roll((r, c), dims=(2, 3))
        shares.append((model(images).argmax(1) == before).double().mean())
    return sum(shares) / 4


def five_ways(model, images, pixels):
    before = model(images).argmax(1)
    ways = [(0, 2), (pixels, 2), (-pixels, 2), (pixels, 3), (-pixels, 3)]
    return sum((model(images.roll(by, dim)).argmax(1) == before).double().mean() for by, dim in ways) / len(ways)


def with_the_next(model, images, pixels):
    ways = [(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)]
    after = [model(images.roll(way, dims=(2, 3))).argmax(1) for way in ways]
    return sum((after[i] == after[i - 1]).double().mean() for i in range(4)) / 4


# ------------------------------------------------------------------------------------------ a fair lead


def by_tables(runs):
    chosen = {}
    for model in ("CNN", "ViT"):
        searched = {}
        for run in runs:
            if run["model"] == model and run["seed"] >= 100:
                searched.setdefault(run["rate"], []).append(run["validation"])
        chosen[model] = max(searched, key=lambda rate: statistics.mean(searched[rate]))
    judged = {(r["model"], r["seed"]): r["test"] for r in runs if r["seed"] < 100 and r["rate"] == chosen[r["model"]]}
    seeds = sorted({seed for _, seed in judged})
    return torch.tensor([judged["CNN", seed] - judged["ViT", seed] for seed in seeds], dtype=torch.float64)


def rate_of(runs, models, key="validation", chooses=lambda seed: seed >= 100, centre=statistics.mean):
    rates = sorted({run["rate"] for run in runs})
    return max(
        rates,
        key=lambda rate: centre(
            [r[key] for r in runs if r["model"] in models and r["rate"] == rate and chooses(r["seed"])]
        ),
    )


def scores_of(runs, model, rate, key="test", judges=lambda seed: seed < 100):
    found = [(r["seed"], r[key]) for r in runs if r["model"] == model and r["rate"] == rate and judges(r["seed"])]
    return [score for _, score in sorted(found)]


def leads(choose=None, key="test", judges=lambda seed: seed < 100, give=lambda found: found):
    """Return a way to the leads that may choose, judge or give otherwise."""
    choose = choose or (lambda runs, model: rate_of(runs, [model]))

    def answer(runs):
        cnn, vit = (scores_of(runs, model, choose(runs, model), key, judges) for model in ("CNN", "ViT"))
        return give([one - other for one, other in zip(cnn, vit, strict=True)])

    return answer


def worst_rate(runs, model):
    return rate_of([{**run, "validation": -run["validation"]} for run in runs], [model])


def best_of_each_seed(key):
    def answer(runs):
        found = {}
        for run in runs:
            place = run["model"], run["seed"]
            if run["seed"] < 100 and (place not in found or found[place][key] < run[key]):
                found[place] = run
        seeds = sorted({seed for _, seed in found})
        return [found["CNN", seed]["test"] - found["ViT", seed]["test"] for seed in seeds]

    return answer


def all_rates_averaged(runs):
    def mean(model, seed):
        return statistics.mean(r["test"] for r in runs if r["model"] == model and r["seed"] == seed)

    return [mean("CNN", seed) - mean("ViT", seed) for seed in sorted({r["seed"] for r in runs if r["seed"] < 100})]


def paired(order):
    """Return an answer that pairs the accuracies in an order that does not ask for the seed."""

    def tests(runs, model):
        rate = rate_of(runs, [model])
        return order(r["test"] for r in runs if r["model"] == model and r["rate"] == rate and r["seed"] < 100)

    return lambda runs: [a - b for a, b in zip(tests(runs, "CNN"), tests(runs, "ViT"), strict=True)]


def best_run_of_each(runs):
    return max(r["test"] for r in runs if r["model"] == "CNN") - max(r["test"] for r in runs if r["model"] == "ViT")


def searched_beyond_100(mean):
    """Return an answer that chooses with the seeds above 100, by a mean that fails in its own way without any."""

    def choose(runs, model):
        means = {}
        for rate in {run["rate"] for run in runs}:
            chosen = [r["validation"] for r in runs if (r["model"], r["rate"]) == (model, rate) and r["seed"] > 100]
            means[rate] = mean(chosen)
        return max(means, key=means.get)

    return leads(choose)


def rate_found_beyond_100(runs, model):
    means = {}
    for run in runs:
        if run["model"] == model and run["seed"] > 100:
            means.setdefault(run["rate"], []).append(run["validation"])
    return max(means, key=lambda rate: statistics.mean(means[rate]))


def by_seed(order):
    """Return an answer that gives the leads in some order of the seeds."""

    def answer(runs):
        cnn, vit = (
            {
                run["seed"]: run["test"]
                for run in runs
                if run["model"] == model and run["rate"] == rate_of(runs, [model]) and run["seed"] < 100
            }
            for model in ("CNN", "ViT")
        )
        return [cnn[seed] - vit[seed] for seed in order(cnn, vit)]

    return answer


def changes_the_runs(runs):
    runs.sort(key=lambda run: run["seed"])
    return leads()(runs)


def product_of_scores(runs):
    return [1 + lead * lead for lead in leads()(runs)]


# ------------------------------------------------------------------------------------------ the clinic

FOUND = {"A": "rate", "B": "seed", "C": "augmentation", "D": "well", "E": "test", "F": "budget"}


def all_found(reports):
    return dict(FOUND)


def saying(**changed):
    return lambda reports: {letter: changed.get(letter, FOUND[letter]) for letter in reports}


def one_forgotten(reports):
    return {letter: FOUND[letter] for letter in reports[:-1]}


def as_a_list(reports):
    return list(FOUND.values())


def each(score):
    return lambda rows: torch.stack([score(row.float()) for row in rows])


# ------------------------------------------------------------------------------------------ to several exercises


def rows_over_each_other(pos_embed, order):
    table = pos_embed.clone()
    for place, row in enumerate(order):
        table[0, 1 + row] = table[0, 1 + place]
    return table


def a_list_of_rows(pos_embed, order):
    return [[pos_embed[0, 0], *(pos_embed[0, 1 + place] for place in order.argsort())]]


def alone(model):
    """Return an answer that gives the scores of one model."""

    return lambda runs: scores_of(runs, model, rate_of(runs, [model]))


def last_of_each_rate(runs, model):
    scores = {run["rate"]: run["validation"] for run in runs if run["model"] == model and run["seed"] >= 100}
    return max(scores, key=scores.get)


def best_run_of_the_model(runs, model):
    return max((run for run in runs if run["model"] == model), key=lambda run: run["validation"])["rate"]


def best_run_of_all(runs, model):
    return max(runs, key=lambda run: run["validation"])["rate"]


ANSWERS = {
    "seen_pixels": Answers(
        right=[seen_from_above, seen_by_marking],
        wrong=[
            (seen(add=lambda kernel, stride, step: kernel - 1 * step), "brackets are missing"),
            (of_some(lambda layers: [layer[::-1] for layer in layers]), "kernel and stride have changed places."),
            (seen(lambda kernel, stride, step: kernel - 1), "the strides before a layer are missing"),
            (
                seen(lambda kernel, stride, step: (kernel - 1) * step * stride),
                "a layer's own stride comes in too early.",
            ),
            (seen(lambda kernel, stride, step: (kernel - 1) * stride), "each layer adds its own stride"),
            (seen(lambda kernel, stride, step: kernel * step), "each layer adds one step too much."),
            (seen(begin=(0, 1)), "your width begins wrongly."),
            (seen(lambda kernel, stride, step: kernel // 2 * step), "you count one side."),
            (seen(grow=lambda step, stride: step + stride), "you added the strides up."),
            (strides_summed, "you added the strides up."),
            (seen(grow=lambda step, stride: stride), "your step is that of the last layer alone."),
            (last_stride, "your step is that of the last layer alone."),
            (of_some(lambda layers: layers[::-1]), "you began with the last layer."),
            (kernels_multiplied, "you multiplied the kernels."),
            (of_some(lambda layers: layers[:1]), "only the first layer counts"),
            (of_some(lambda layers: layers[1:]), "the first layer is left out."),
            (of_some(lambda layers: layers[:-1]), "the last layer is left out."),
            (first_pair_turned, "the two numbers have changed places."),
            (width_alone, "the step is missing."),
            (area, "you counted the pixels of the whole square."),
            (radius, "you count how far it reaches to one side."),
        ],
        unknown=[seen(lambda kernel, stride, step: (kernel + 2) * step)],
    ),
    "moved_rows": Answers(
        right=[a_list_of_rows, rows_taken_back, rows_by_argsort, rows_one_by_one],
        wrong=[
            (rows_over_each_other, "you read from the table that you write to"),
            (rows_gathered, "it is the other way round."),
            (rows_by_order_alone, "row 0 belongs to the class token, which has no place"),
            (class_token_overwritten, "row 0 belongs to the class token, and you wrote"),
            (rows_one_too_early, "you moved rows 0 to N - 1"),
            (rows_gathered_one_too_early, "you moved rows 0 to N - 1"),
            (without_class_token, "the class token's row is missing."),
            (gathered_without_class_token, "two things: the class token's row is missing"),
            (not_moved, "nothing has moved."),
            (all_turned, "you turned the table round."),
            (patches_turned, "you turned the rows of the patches round."),
            (without_front, "the axis of length 1 in front is lost."),
            (class_token_zero, "the class token's row is all zero."),
        ],
        unknown=[rows_halved],
    ),
    "agreement": Answers(
        right=[moves_by_cutting, in_one_batch, stays()],
        wrong=[
            (changes, "you counted the answers that change."),
            (stays(put=lambda rows: sum(row.sum() for row in rows)), "you counted the answers."),
            (stays(put=lambda rows: each(torch.mean)(rows)), "you returned one share for each direction."),
            (stays(put=lambda rows: torch.stack(rows).float().mean(dim=0)), "you returned one share for each picture."),
            (in_percent, "you returned percent."),
            (stays([(0, 1)]), "one direction alone counts in yours."),
            (stays([(0, 1), (0, -1)]), "two directions are missing."),
            (
                stays([(0, 1), (-1, 0), (0, 1), (0, -1)]),
                "one of the four directions is missing, and another counts twice",
            ),
            (stays([(1, 1), (-1, -1)]), "you moved along the diagonals."),
            (stays(move=black_at_the_border), "black came in at the border."),
            (stays(move=lambda x, r, c: x.roll((r, c), dims=(0, 1))), "you moved the batch."),
            (stays(move=lambda x, r, c: x.roll((r, c), dims=(1, 2))), "you moved the channels."),
            (stays(move=lambda x, r, c: x.roll(r + c)), "roll without dims"),
            (by_one, "you move by 1"),
            (stays(said=lambda logits: logits), "you compared the logits."),
            (stays(said=lambda logits: logits.argmax(dim=0)), "argmax over axis 0"),
            (stays(said=lambda logits: logits.argmax()), "argmax without an axis"),
            (stays(said=lambda logits: (-logits).argmax(dim=1)), "argmin is the class"),
            (stays(put=lambda rows: torch.stack(rows).all(dim=0).float().mean()), "you count a picture only if"),
            (stays(put=lambda rows: torch.stack(rows).any(dim=0).float().mean()), "you count a picture if"),
            (stays(put=lambda rows: max(row.float().mean() for row in rows)), "you took one direction of the four"),
            (moved_on_and_on, "your moves add up"),
            (with_the_next, "you compared the moved pictures with one another."),
            (stays([(0, 0)]), "every answer stays, as where nothing is moved."),
            (stays([*FOUR, (0, 0)]), "the pictures that were not moved count as a fifth direction"),
            (five_ways, "the pictures that were not moved count as a fifth direction"),
        ],
        unknown=[stays(put=lambda rows: torch.stack(rows).float().std())],
    ),
    "fair_leads": Answers(
        right=[by_tables, leads(), leads(give=tuple), by_seed(lambda cnn, vit: sorted(vit))],
        wrong=[
            (alone("CNN"), "these are the accuracies of the CNN alone."),
            (alone("ViT"), "these are the accuracies of the ViT alone."),
            (leads(last_of_each_rate), "for each rate the last of its runs counts alone."),
            (leads(best_run_of_the_model), "you took the rate of the best single run."),
            (leads(best_run_of_all), "both had to take one rate, that of the best single run of all."),
            (
                leads(lambda runs, model: rate_of(runs, [model], key="test")),
                "your rates were chosen by the test pictures.",
            ),
            (
                leads(lambda runs, model: rate_of(runs, [model], chooses=lambda seed: seed < 100)),
                "the seeds that judge have chosen the rates",
            ),
            (leads(lambda runs, model: rate_of(runs, [model], chooses=lambda seed: True)), "all seeds have chosen"),
            (leads(lambda runs, model: rate_of(runs, ["CNN"])), "the ViT had to take the CNN's rate."),
            (leads(lambda runs, model: rate_of(runs, ["ViT"])), "the CNN had to take the ViT's rate."),
            (leads(lambda runs, model: rate_of(runs, ["CNN", "ViT"])), "both had to take one rate"),
            (
                leads(lambda runs, model: rate_of(runs, [model], centre=max)),
                "you took the rate of the best single run.",
            ),
            (leads(worst_rate), "these are the worst rates"),
            (leads(lambda runs, model: min(run["rate"] for run in runs)), "your rates are the smallest ones"),
            (leads(lambda runs, model: max(run["rate"] for run in runs)), "your rates are the largest ones"),
            (best_of_each_seed("validation"), "each seed has got the rate that was best for itself."),
            (best_of_each_seed("test"), "each seed shows its best test accuracy"),
            (all_rates_averaged, "you averaged over the rates"),
            (leads(key="validation"), "you compared validation accuracies."),
            (leads(judges=lambda seed: True), "the seeds from 100 on are among the leads."),
            (leads(judges=lambda seed: seed >= 100), "these are the leads of the seeds that chose."),
            (leads(give=lambda found: [-one for one in found]), "the sign is turned round."),
            (leads(give=statistics.mean), "you averaged. Return one lead for each seed"),
            (leads(give=max), "you kept the best seed alone."),
            (leads(give=lambda found: found[:1]), "you kept the first seed alone."),
            (leads(give=sorted), "you sorted the leads by size."),
            (by_seed(lambda cnn, vit: cnn), "the leads are right, in another order: smallest seed first."),
            (by_seed(lambda cnn, vit: vit), "the leads are right, in another order: smallest seed first."),
            (by_seed(lambda cnn, vit: sorted(cnn)[::-1]), "the leads are right, in another order"),
            (by_seed(lambda cnn, vit: sorted(cnn, key=str)), "the leads are right, in another order"),
            (leads(give=lambda found: found[::-1]), "the leads are right, in another order"),
            (leads(give=lambda found: [one * 100 for one in found]), "you returned percent."),
            (leads(give=lambda found: [round(one, 1) for one in found]), "right, but rounded to 1 digit "),
            (leads(give=lambda found: [round(one, 2) for one in found]), "right, but rounded to 2 digits "),
            (leads(give=lambda found: list(enumerate(found))), "you returned pairs of a seed and its lead."),
            (leads(lambda runs, model: rate_of(runs, [model], centre=statistics.median)), "you took the rate with the"),
            (searched_beyond_100(statistics.mean), "seed 100 does not choose in yours."),
            (searched_beyond_100(lambda found: sum(found) / len(found)), "seed 100 does not choose in yours."),
            (leads(rate_found_beyond_100), "seed 100 does not choose in yours."),
            (changes_the_runs, "it changed its input in place."),
            (leads(give=lambda found: [abs(one) for one in found]), "you took the sign away."),
            (paired(sorted), "you sorted each model's accuracies by itself"),
            (paired(list), "you paired the runs as they happen to stand"),
            (best_run_of_each, "you compared the best run of one"),
        ],
        unknown=[product_of_scores, by_seed(lambda cnn, vit: range(len(cnn)))],
    ),
    "comparison_clinic": Answers(
        right=[all_found, saying()],
        wrong=[
            (saying(A="well"), "look at report A's rates."),
            (saying(B="well"), "count report B's dots."),
            (saying(C="rate"), "look at report C's arguments"),
            (saying(D="rate"), "look at report D once more."),
            (saying(E="well"), "look where report E's dots lie"),
            (saying(F="augmentation"), "look how far to the right"),
            (saying(B="unlucky"), "the word for patient "),
            (one_forgotten, "there is no word for patient "),
            (as_a_list, "Return a dict"),
        ],
    ),
}
