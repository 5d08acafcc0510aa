# %% [markdown]
# # 10 · Fine-tuning: new pictures for a trained model
#
# **The question.** Somebody takes a ViT-B/16 that has learned many millions of photographs, trains it on CIFAR-10, and
# gets 40%. A small CNN without any pre-training does better. The notes that this course began with say why: *the data
# set is too small for a ViT.* Others took the same kind of model to the same pictures and got 98.8 to 99.0%
# (google-research/vision_transformer, README: ViT-B/16 from ImageNet-21k). *What did the first one do?* Nobody knows,
# the recipe was not written down. But we can find out what makes a poor model of a good one.

# %%
import copy
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from vit_tutorial import ViT, load_model, plots
from vit_tutorial.datasets import DATA_FOLDER, Dataset, load, pictures
from vit_tutorial.evidence import Scores, best_rate, compare, compare_each, judge, with_error
from vit_tutorial.exercises import check
from vit_tutorial.exercises.lesson_10_fine_tuning import patient
from vit_tutorial.explore import ProbeLab
from vit_tutorial.introspection import flops_per_image, token_stages
from vit_tutorial.predict import predict
from vit_tutorial.recipes import build_model
from vit_tutorial.studies import load_study
from vit_tutorial.studies.clothes import METHODS, SIZES
from vit_tutorial.studies.transfer import draw_few, features_of, linear_probe, nearest
from vit_tutorial.training import TrainingConfig, add_lora, evaluate, fit, merge_lora, reset_head
from vit_tutorial.training.fine_tuning import learning_rate_scales

torch.set_num_threads(1)  # one thread: the same numbers each time

# %%
# It has learned six kinds of clothes, and has never seen the other four: `python -m vit_tutorial.recipes` says how.
six = DATA_FOLDER / "vit_clothes_six.safetensors"
model = load_model(six)
clothes = load("fashion_mnist")
four = replace(clothes.of_classes([6, 7, 8, 9]), mean=model.card.mean, std=model.card.std)  # as the model knows them


# %% jupyter={"source_hidden": true}
def draw_by_size(sizes, lines, xlabel, alt, caption):
    """Draw right answers over the number of pictures of each kind, one line for each method."""
    figure, axes = plots.new_figure(1, 1, size=(7, 3.6))
    plots.draw_lines(axes[0, 0], sizes, lines, xlabel, "right answers", marker="o")
    axes[0, 0].set_xscale("log")
    axes[0, 0].set_xticks(sizes, [f"{size:,}" for size in sizes])
    return plots.show(figure, alt=alt, caption=caption)


figure, axes = plots.new_figure(1, 10, size=(12, 1.7))
for ax, label in zip(axes[0], range(10), strict=True):
    example = clothes.test_images[clothes.test_labels == label][1]
    plots.draw_image(ax, example, ("known: " if label < 6 else "new: ") + clothes.class_names[label].replace(" ", "\n"))
    ax.title.set_fontsize(8)
plots.show(
    figure,
    alt="Ten grey pictures of clothes. Known are T-shirt, trouser, pullover, dress, coat and sandal; new are shirt, sneaker, bag and ankle boot.",
    caption="The model of this lesson has learned the first six kinds. How do we take it to the other four?",
)

# %% [markdown]
# **What you will do**
#
# 1. Compare what a trained model brings with what raw pixels, random features and a fresh model bring.
# 2. Freeze parts, ask neighbours, train a linear probe, give each layer its own learning rate, and write a LoRA.
# 3. Ruin a fine-tuning in several ways, one at a time and all together, and know each by its trace.
# 4. Say before a transfer what to measure, and see one that does not help.
# 5. Take a model to a folder of pictures of your own.
#
# **Time**: 35 minutes, and 50 for the exercises. **You need**: lessons 2 to 9.

# %% [markdown]
# ## By hand
#
# **A small change of a large matrix.** A matrix W of a trained model has 3 rows and 3 columns. We leave it alone, and
# learn two thin ones: A has one row, B one column. What counts is W + BA.
#
# | W | B | A |
# |---|---|---|
# | 1 0 2 | 1 | 1 0 −1 |
# | 0 1 0 | 0 | |
# | 1 1 1 | 2 | |
#
# Take a pencil. What is BA? What is W + BA? How many numbers are learned, and how many would it be without the trick?
# And what must B be at the very first step, if nothing shall change yet?

# %%
W = torch.tensor([[1, 0, 2], [0, 1, 0], [1, 1, 1]])  # [D=3, D=3]
B, A = torch.tensor([[1], [0], [2]]), torch.tensor([[1, 0, -1]])  # [D, r=1], [r, D]
print((B @ A).tolist())
print((W + B @ A).tolist())
print("learned:", B.numel() + A.numel(), "of", W.numel())

# %% [markdown]
# Every row of BA is a multiple of A. That is what *rank 1* means. With 3×3 we save a third, with 768×768 and rank 4 we
# learn 6,144 numbers instead of 589,824. B begins as zeros, so BA is zero, and the model says at first what it said
# before.
#
# **A rate for each layer.** The head is new and has to go far. The filters of the patch embedding see edges (lesson 1),
# which new pictures have too, and should hardly move. So each layer gets the rate of the one above, times 0.7. This is
# called *layer-wise learning rate decay* (after Howard and Ruder 2018, and for transformers Clark et al. 2020):
#
# $$\eta_\ell = \eta \cdot 0.7^{\,L + 1 - \ell}, \qquad \ell = 0 \text{ (patches)}, \dots, L \text{ (last block)}, L + 1 \text{ (head)}$$
#
# A model of 4 blocks, at rate 0.003: what does the head get, what the last block (ℓ = 4, and block 3 in code), the
# first (ℓ = 1, and block 0 in code), and the patches?

# %%
scales = learning_rate_scales(model, layer_decay=0.7)
for name in ("head.weight", "blocks.3.mlp.fc1.weight", "blocks.0.mlp.fc1.weight", "patch_embed.proj.weight"):
    print(f"{name:<24} {0.003:g} x {scales[name]:.3f} = {0.003 * scales[name]:.2g}")

# %% [markdown]
# ## What may move?
#
# Between *nothing* and *everything* there are steps. Each is a setting of the training, or one line before it:
#
# | what learns | how it is written |
# |---|---|
# | nothing: **ask the nearest neighbours** | no training at all |
# | the head: a **linear probe** | `freeze=("cls_token", "pos_embed", "patch_embed", "blocks", "norm")` |
# | head, last norm and last block | `freeze=("cls_token", "pos_embed", "patch_embed", "blocks.0", "blocks.1", "blocks.2")` |
# | all, the lower the slower | `layer_decay=0.7` |
# | all alike | nothing |
# | a LoRA on queries and values, and the head | `add_lora(model, rank=4)` |
#
# The old head answers for six other classes. So first of all it is replaced, and everything else stays. We have 20
# pictures of each new kind:

# %%
few, held_out, held_out_labels = draw_few(four, 20, seed=0)
print(few)
new = reset_head(load_model(six), num_classes=4)
print("head:", list(model.head.weight.shape), "->", list(new.head.weight.shape))
same = [torch.equal(one, other) for one, other in zip(model.blocks.parameters(), new.blocks.parameters(), strict=True)]
print("blocks are the same:", all(same))

# %% [markdown]
# **Nothing moves: neighbours.** The features of a picture are what the head would read: $f = \text{LN}(z_L^0)$, 64
# numbers. A new picture is answered by the labelled ones whose features lie at the smallest angle:
#
# $$\text{answer}(x) = \text{majority of the } k \text{ labels with the largest } \cos(f(x), f(x_i))$$


# %%
def share_right(answers, truth=four.test_labels):  # [B] labels each -> 0 to 1
    return (answers == truth).double().mean().item()


def judged(one):  # a model's accuracy on the test pictures, and its standard error
    return with_error(evaluate(one, four.test_images, four.test_labels).accuracy, len(four.test_labels))


shape = {"patch_size": 7, "dim": 64, "depth": 4, "num_heads": 4, "mlp_ratio": 2.0}
untrained = build_model(few, shape, seed=0).eval()  # the same model before any training, as a control
seen = features_of(model, model.card, few.train_images)  # [80, 64]
asked = features_of(model, model.card, four.test_images)  # [800, 64]
answers = nearest(seen, few.train_labels, asked, neighbours=5, cosine=True)  # [800]
print(f"5 nearest neighbours, nothing trained: {with_error(share_right(answers), len(answers))}")

# %% [markdown]
# ## Exercise: ask the neighbours
#
# Difficulty 2 of 5, about 8 minutes. Importance 3 of 3. It needs no training at all, so it is the first thing to
# measure before a transfer. You get frozen features [M, D] of M pictures with their labels [M], and features [B, D] of
# new pictures, the queries. For each query find the k pictures whose features are nearest, by the cosine of the angle
# between them. Return the share of their votes that each class gets: [B, K], and each row sums to 1. K is
# `num_classes`, also where a class has no picture among the M.
#
# <details><summary>Hint 1</summary>
#
# The cosine is the dot product of two vectors that both have length 1. So divide each row by its length
# (`F.normalize(x, dim=-1)`); then one matrix product gives all cosines, [B, M].
#
# </details>
# <details><summary>Hint 2</summary>
#
# `similarity.topk(k, dim=1).indices` are the places [B, k] of the nearest, and `labels[places]` their labels. Turn
# these into votes with `F.one_hot(…, num_classes)`, [B, k, K]. Over which axis is the mean?
#
# </details>


# %% tags=["exercise"]
def my_knn(features, labels, queries, k, num_classes): ...  # [M, D], [M], [B, D] -> shares of votes [B, K]


check.knn(my_knn)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_knn(features, labels, queries, k, num_classes):
    similarity = F.normalize(queries, dim=-1) @ F.normalize(features, dim=-1).T  # [B, M]
    nearest = similarity.topk(k, dim=1).indices  # [B, k]
    votes = F.one_hot(labels[nearest], num_classes)  # [B, k, K]
    return votes.float().mean(dim=1)


check.knn(my_knn)

# %% [markdown]
# Your neighbours in the features of the trained model, of an untrained one, and in the raw pixels. (On a tie
# `nearest` above takes the nearer kind, and `argmax` the first: so the first line may differ a little from the one
# printed before the exercise.)

# %%
if check.knn(my_knn).passed:
    ways = {
        "trained on six other kinds": lambda pictures: features_of(model, model.card, pictures),
        "untrained": lambda pictures: features_of(untrained, model.card, pictures),
        "raw pixels": lambda pictures: model.card.normalize(pictures).flatten(1),
    }
    for name, of in ways.items():
        shares = my_knn(of(few.train_images), few.train_labels, of(four.test_images), k=5, num_classes=4)
        print(f"{name:<28} {with_error(share_right(shares.argmax(dim=1)), len(four.test_labels))}")
else:
    print("my_knn does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# **The head moves: a linear probe.** Once as training with all but the head frozen. And once the cheap way: nothing
# below the head moves, so what it reads is computed once, and one linear layer learns from these numbers.

# %% tags=["trained-here"]
probe = TrainingConfig(
    epochs=30,
    batch_size=20,
    learning_rate=0.01,
    validation_fraction=0,
    freeze=("cls_token", "pos_embed", "patch_embed", "blocks", "norm"),
    device="cpu",
)
fit(new, few, probe, progress=False)
print(f"frozen, trained by fit: {judged(new)}")
layer = linear_probe(seen, few.train_labels, 4, 0.01)
print(f"frozen, computed once:  {with_error(share_right(layer(asked).argmax(dim=1)), len(asked))}")

# %% [markdown]
# **Everything moves.** Its rate must be searched for (with 20 pictures a kind the search below found 0.003), and it
# warms up: the gradients of a new head say little at first, and the first step of AdamW (lesson 11) moves each weight
# by the whole rate, however small its gradient is. Beside it the same model from scratch, with the same pictures:

# %% tags=["trained-here"]
everything = replace(probe, freeze=(), learning_rate=0.003, warmup_epochs=3)
shown = torch.cat([few.train_images, four.test_images[:120]])  # [200, 1, 28, 28]: 80 with labels, 120 without
moments = {
    "raw pixels": features_of(None, model.card, shown),
    "untrained model": features_of(untrained, model.card, shown),
    "trained on six other kinds": features_of(model, model.card, shown),
}


def keep(history):  # called after each epoch
    if (epochs := len(history.train_loss)) in (2, 5, 30):
        moments[f"fine-tuned, {epochs} epochs"] = features_of(tuned, model.card, shown)


tuned, scratch = reset_head(load_model(six), num_classes=4), copy.deepcopy(untrained)
fit(tuned, few, everything, progress=False, on_epoch=keep)
fit(scratch, few, everything, progress=False)
for words, one in (("all weights", tuned), ("the same model from scratch", scratch)):
    print(f"{words}: {judged(one)}")

# %% [markdown]
# ## Exercise: a rate for each layer
#
# Difficulty 1 of 5, about 5 minutes. Importance 2 of 3. This one line of arithmetic is in many recipes for fine-tuning
# a ViT, since BEiT (Bao et al. 2022). You get the number of blocks and the decay. Return `depth + 2` factors from the
# bottom up, as a list or a tensor: that of the patches (with class token and positions), those of block 0 to the last
# block, and that of the head, which is 1. Each layer gets the factor of the one above it, times the decay.
#
# <details><summary>Hint 1</summary>
#
# How many layers lie between the head and the patches? With two blocks: head 1, block 1 the decay, block 0 the decay
# squared, and the patches?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The exponents run from `depth + 1` down to 0.
#
# </details>


# %% tags=["exercise"]
def my_layer_rates(depth, decay): ...  # -> depth + 2 factors, from the patches up to the head


check.layer_rates(my_layer_rates)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_layer_rates(depth, decay):
    return [decay**power for power in range(depth + 1, -1, -1)]


check.layer_rates(my_layer_rates)

# %% [markdown]
# Now let your factors train. The first step of Adam moves a weight by just the rate, so it shows which rate a layer
# really got:

# %%
if check.layer_rates(my_layer_rates).passed:
    first_step = reset_head(load_model(six), num_classes=4)
    layers = [first_step.patch_embed, *first_step.blocks, first_step.head]  # as my_layer_rates counts them
    factors = my_layer_rates(len(first_step.blocks), 0.7)
    groups = [{"params": layer.parameters(), "lr": 0.003 * f} for layer, f in zip(layers, factors, strict=True)]
    optimizer = torch.optim.AdamW(groups, weight_decay=0)
    before = [next(layer.parameters()).detach().clone() for layer in layers]
    F.cross_entropy(first_step(model.card.normalize(few.train_images)), few.train_labels).backward()
    optimizer.step()
    for name, layer, old in zip(
        ("patches", "block 0", "block 1", "block 2", "block 3", "head"), layers, before, strict=True
    ):
        print(f"{name:<8} moved by {(next(layer.parameters()) - old).abs().max():.5f}")
else:
    print("my_layer_rates does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# ## In a picture you can touch
#
# While it was fine-tuned, we kept the features of 200 pictures: the 80 labelled ones (squares), and 120 that the model
# never learned from (dots; with a ring where the neighbours answer wrongly). ProbeLab lays them out as a map. Page Up
# and Page Down go from stage to stage.
#
# 1. Go through the stages from the first to the last. At which one do the squares lie in four heaps? And the dots?

# %%
labels = torch.cat([few.train_labels, four.test_labels[:120]])
ProbeLab(moments, shown, labels, labelled=80, class_names=four.class_names, neighbours=5)

# %% [markdown]
# 2. Open *More* (`m`), and read the bars of all stages. At which stage do neighbours answer best, and at which worst?
# 3. At the last stage press `w` a few times. Which kind is taken for which?
# 4. Choose a dot whose lines lead far across the map: the arrow keys go from dot to dot. Why are its *nearest*
#    neighbours not near?
#
# <details><summary>What we saw</summary>
#
# 1. The squares lie in four heaps only at the end, and the dots follow them, not all. In the model as it came, both
#    kinds of shoes share one small heap: of shoes it had learned one kind only, sandals, and never had to tell two
#    apart.
# 2. Best after a few epochs of fine-tuning, worst in the untrained model. The raw pixels are nearly as good as the
#    best.
# 3. Bags are taken for shirts, and sneakers and ankle boots for each other.
# 4. Those beside it on the map are farther still, in one of the other 62 directions. The map is a shadow, and a shadow
#    only makes distances shorter.
#
# </details>

# %% [markdown]
# ## LoRA
#
# $$W' = W + \frac{\alpha}{r} B A, \qquad A \in \mathbb{R}^{r \times D}, \quad B \in \mathbb{R}^{D \times r}, \quad B = 0 \text{ at first}$$
#
# (Hu et al. 2022, section 4.1.) α is a number that one chooses: how strongly BA counts. It is divided by r, so that
# another r hardly needs another learning rate. Three things can be checked. At the start the logits are equal. Only the
# small matrices and the head learn. And afterwards BA is added to W for good, and the model costs no more than before.

# %%
lora = reset_head(load_model(six), num_classes=4).double()
images = model.card.normalize(four.test_images[:8]).double()  # [8, 1, 28, 28]
before = lora(images)
add_lora(lora, rank=4)
print("equal at the start:", torch.equal(lora(images), before))
learns = sum(p.numel() for p in lora.parameters() if p.requires_grad)
print(f"learns {learns:,}, of which the head has {lora.head.weight.numel() + 4}")
with torch.no_grad():
    for name, parameter in lora.named_parameters():
        if ".B_" in name:
            parameter.normal_()  # as if it had learned something
changed = lora(images)
merge_lora(lora)
print("merged, the logits are equal:", torch.allclose(lora(images), changed, atol=1e-10))
print("and they had changed:", not torch.allclose(changed, before, atol=0.1))

# %% [markdown]
# ## Exercise: write a LoRA
#
# Difficulty 3 of 5, about 12 minutes. Importance 3 of 3. Large models are often fine-tuned so. Write a layer that takes
# the place of an `nn.Linear`. It holds the old layer, frozen, and two small matrices to learn, `self.A` of shape [r, D]
# and `self.B` of shape [M, r], if the old layer goes from D numbers to M. It gives Wx + b + (α / r) BAx. At first it
# gives just what the old layer gives, and can still learn.
#
# <details><summary>Hint 1</summary>
#
# `nn.Parameter(torch.zeros(M, r))` is B. If A were zero as well, BA would be zero, and so would both gradients: give A
# random numbers. `linear.in_features` and `linear.out_features` are D and M. `linear.requires_grad_(False)` freezes the
# old layer.
#
# </details>
# <details><summary>Hint 2</summary>
#
# x has its D numbers along the last axis, [..., D], so the product reads the other way round:
# `x @ self.A.T @ self.B.T`.
#
# </details>


# %% tags=["exercise"]
class MyLoRA(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        ...  # the old layer, frozen; self.A [r, D] and self.B [M, r]

    def forward(self, x):
        # [..., D] -> [..., M]
        ...


check.lora(MyLoRA)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
class MyLoRA(nn.Module):
    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(rank, linear.in_features) / linear.in_features**0.5)
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))
        self.scale = alpha / rank

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)


check.lora(MyLoRA)

# %% [markdown]
# Your LoRA in every block of the real model, in place of both layers of its MLP. First it must change nothing, then it
# learns:

# %% tags=["trained-here"]
if check.lora(MyLoRA).passed:
    torch.manual_seed(0)  # A begins at random
    mine = reset_head(load_model(six), num_classes=4)
    images = model.card.normalize(four.test_images[:8])
    before = mine(images)
    for part in (mine.patch_embed, mine.class_token, mine.position, mine.blocks, mine.norm):
        part.requires_grad_(False)
    for block in mine.blocks:
        block.mlp.fc1, block.mlp.fc2 = MyLoRA(block.mlp.fc1, 4, 4), MyLoRA(block.mlp.fc2, 4, 4)
    print("equal at the start:", torch.equal(mine(images), before))
    print(f"learns {sum(p.numel() for p in mine.parameters() if p.requires_grad):,}")
    fit(mine, few, replace(everything, learning_rate=0.01), progress=False)
    print(f"your LoRA: {judged(mine)}")
else:
    print("MyLoRA does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# ## Exercise: merge it
#
# Difficulty 2 of 5, about 8 minutes. Importance 2 of 3. After the training nobody wants to carry A and B about. In our
# attention the three matrices of the queries, keys and values lie above each other in one weight [3D, D]. There is a
# LoRA on the queries, (α / r) B_q A_q, and one on the values, (α / r) B_v A_v, and none on the keys. Return the one
# weight [3D, D] that does the same without them. The rank r is not given: the matrices have it.
#
# <details><summary>Hint 1</summary>
#
# `weight.chunk(3)` gives the three matrices [D, D]. A is [r, D], B is [D, r]: which product of the two is [D, D]?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Change the first and the third, and put the three together with `torch.cat`. Or add to slices of a copy:
# `weight.clone()`.
#
# </details>


# %% tags=["exercise"]
def my_merge(weight, A_q, B_q, A_v, B_v, alpha): ...  # [3D, D], [r, D], [D, r], [r, D], [D, r] -> [3D, D]


check.merged_qkv(my_merge)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_merge(weight, A_q, B_q, A_v, B_v, alpha):
    w_q, w_k, w_v = weight.chunk(3)  # [D, D] each
    scale = alpha / len(A_q)
    return torch.cat([w_q + scale * B_q @ A_q, w_k, w_v + scale * B_v @ A_v])


check.merged_qkv(my_merge)

# %% [markdown]
# The course's own LoRA learns, and you merge it: the plain model with your weights must say what the model with the
# LoRA says.

# %% tags=["trained-here"]
if check.merged_qkv(my_merge).passed:
    learned = add_lora(reset_head(load_model(six), num_classes=4), rank=4, alpha=8)
    fit(learned, few, replace(everything, epochs=10, learning_rate=0.01), progress=False)
    plain = reset_head(load_model(six), num_classes=4)
    plain.head = learned.head
    for mine, block in zip(plain.blocks, learned.blocks, strict=True):
        lora_of = block.attn.qkv.parametrizations.weight
        small = lora_of[0]
        with torch.no_grad():
            mine.attn.qkv.weight.copy_(my_merge(lora_of.original, small.A_q, small.B_q, small.A_v, small.B_v, alpha=8))
    images = model.card.normalize(four.test_images)
    with torch.no_grad():
        print(f"logits differ by {(plain(images) - learned(images)).abs().max():.0e}")
    numbers = [sum(p.numel() for p in one.parameters()) for one in (learned, plain)]
    print(f"{numbers[0]:,} numbers, merged {numbers[1]:,}")
else:
    print("my_merge does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# ## What does the first training bring?
#
# One draw of pictures proves nothing. Neither does one rate, nor a training that ends too early. So the course keeps a
# record: 1, 5, 20 and 100 pictures a kind, and five draws of each. For each of these numbers every method has its own
# best rate. *Held-out* pictures chose it: nothing is learned from them, and they never judge.
#
# Three methods train one linear layer: on the raw pixels, on the features of an untrained ViT, and on those of the
# trained one. Two train all weights of a ViT, from the trained model and from scratch: 100 steps with one picture a
# kind, 800 with a hundred.

# %% jupyter={"source_hidden": true}
study = load_study("transfer_clothes")
print("made by:", study.command, "with seeds", study.seeds)


def mean(of):
    return fmean(of.by_seed.values())


def reached(method, size, what=""):  # the accuracies of a method, one for each draw
    return study.scores(f"{method}, {size} a kind{what}")


means = {name: [mean(reached(name, size)) for size in SIZES] for name in METHODS}
print(f"{'pictures a kind':<20}" + "".join(f"{size:>8}" for size in SIZES))
for name, row in means.items():
    print(f"{name:<20}" + "".join(f"{value:>8.1%}" for value in row))
rates = {size: reached("all weights", size).rate.value for size in SIZES}
print("rate of all weights, by pictures a kind:", ", ".join(f"{size}: {rate:g}" for size, rate in rates.items()))
draw_by_size(
    SIZES,
    means,
    "pictures of each kind",
    alt="Five lines that rise from 1 to 100 pictures a kind. Raw pixels lie highest up to 20 pictures, and all weights second, which reach them at 100. Training from scratch lies with the trained features at 1 and 5 pictures, and above them from 20 on. Untrained features lie lowest.",
    caption=f"Mean of five draws, on the {study.data['test']} test pictures of the four new kinds. Guessing is right for one in four.",
)

# %% [markdown]
# Are these trainings long enough? With the most pictures the two were also trained for twice as many steps, each at its
# own rate again:

# %%
pairs = {name: (reached(name, 100, ", twice as long"), reached(name, 100)) for name in ("all weights", "from scratch")}
print(compare_each(pairs, "twice as many steps end better", holds="if", of="draws"))

# %% [markdown]
# No gain is shown. But for training from scratch the interval leaves room for some points.
#
# ### "Start from a trained model, and a few pictures are enough"
#
# Three comparisons, each for every number of pictures:


# %% tags=["claim-few-pictures"]
def against(one, other, claim):
    pairs = {f"{size} a kind": (reached(one, size), reached(other, size)) for size in SIZES}
    print(f"{one} minus {other}")
    print(compare_each(pairs, claim, holds="if", of="draws"))


against(
    "trained features", "untrained features", "features of the trained model are better than those of an untrained one"
)
against("all weights", "from scratch", "a ViT that begins with trained weights is better than one from scratch")
against("all weights", "raw pixels", "a fine-tuned ViT is better than one linear layer on the raw pixels")

# %% [markdown]
# From 5 pictures a kind on, the trained model's features are better than an untrained one's. Its weights are a better
# start too, until 100 pictures a kind teach a ViT from scratch nearly as much. And still, up to 20 pictures a kind,
# one layer on the raw pixels, which needs a second, is better than all of it. Clothes lie in the middle, upright and
# on black, so pixel (14, 3) means nearly the same in each picture. That makes pixels hard to beat. And ProbeLab
# showed what the features lack: the first training had no need of the difference between a sneaker and an ankle boot.
# Whoever compares only *with* and *without* pre-training never notices.

# %% [markdown] tags=["extra"]
# *Extra.* Was it luck which kinds were learned first? With 20 pictures a kind the same was done with other kinds: the
# last six of the list first, and the first four as the new ones.

# %% tags=["extra"]
rivals = (("trained features", "untrained features"), ("all weights", "from scratch"), ("all weights", "raw pixels"))
pairs = {
    f"{one} against {other}": tuple(reached(name, 20, ", other kinds") for name in (one, other))
    for one, other in rivals
}
print({name: f"{mean(reached(name, 20, ', other kinds')):.1%}" for name in METHODS})
print(compare_each(pairs, "with other kinds, the first is better than the second", holds="if", of="draws"))

# %% [markdown] tags=["extra"]
# The same three answers. So at least it was not the luck of one list.

# %% [markdown]
# Is it the clothes? The course asked the same of photographs. A small ViT learned six of the ten kinds of CIFAR-10, all
# 30,000 pictures of them, and went to the other four. Which six was fixed before the run: the first of the list. Every
# method has its own rate, and each of five seeds draws other pictures. One control is new: the same ViT learned the
# same 30,000 pictures *without their labels*. Half of each picture's patches were hidden. From the others the model had
# to guess the hidden pixels, through one linear layer (Xie et al. 2022). That is **self-supervised** pre-training.

# %% jupyter={"source_hidden": true}
studies = {size: load_study("transfer_thousand" if size == 1000 else "transfer") for size in (1, 10, 100, 1000)}
sizes_there = tuple(studies)
shown = ("all weights", "LoRA", "features, linear", "masked, all weights", "from scratch", "pixels, linear")
for command in dict.fromkeys(study.command for study in studies.values()):
    print("made by:", command)


def there(name, size):  # the accuracies of a method, one for each draw
    return studies[size].scores(f"{name}, {size} a class")


means_there = {name: [mean(there(name, size)) for size in sizes_there] for name in shown}
draw_by_size(
    sizes_there,
    means_there,
    "photographs of each kind",
    alt="Six lines that rise from 1 to 1,000 photographs a kind. Up to 100 the three methods that begin with the model that learned labels lie highest. The one that learned without labels begins far below them, and nearly reaches the best at 1,000. Training from scratch and the raw pixels lie lowest.",
    caption="Mean of five draws (with 1,000 of three), on the 4,000 test photographs of the four new kinds. Guessing is right for one in four.",
)

# %% [markdown]
# ### "Self-supervised pre-training is good, and far behind supervised"
#
# The paper has one try of its own (section 4.6, appendix B.1.2): with patches hidden in pre-training, ViT-B/16 reaches
# 79.9% on ImageNet, 2 points above training from scratch, and 4 below supervised pre-training. And ours?


# %% tags=["claim-F1"]
def on_photographs(one, other, claim):
    pairs = {f"{size:,} a kind": (there(one, size), there(other, size)) for size in sizes_there}
    print(f"{one} minus {other}")
    print(compare_each(pairs, claim, holds="if"))
    print()


on_photographs("masked, all weights", "from scratch", "learning without labels first is better than nothing")
on_photographs("all weights", "masked, all weights", "learning with labels first is better than without")
on_photographs("all weights", "pixels, linear", "a fine-tuned ViT is better than one linear layer on the raw pixels")

# %% [markdown]
# With one picture a kind only the lead over the raw pixels is shown. With 100 all three leads are plain. With 1,000 the
# new pictures teach much themselves, and what labels add to the first training has shrunk to a few points. Here the
# fine-tuned ViT beats the pixels by far: on photographs nothing lies at the same place each time.
#
# **What this does not prove.** There is one model of each kind, and the seeds draw pictures, not models. The one
# without labels had the same pictures and a similar time. Methods of that family are made for far more of both.

# %% [markdown] tags=["extra"]
# *Extra.* The record has more ways than these six. Here are all of them, in the mean over the draws.

# %% tags=["extra"]
ways = dict.fromkeys(name.rsplit(", ", 1)[0] for study in studies.values() for name in study.variants)
print(f"{'photographs of each kind':<30}" + "".join(f"{size:>7,}" for size in sizes_there))
for way in ways:
    print(f"{way:<30}" + "".join(f"{mean(there(way, size)):>7.0%}" for size in sizes_there))

# %% [markdown]
# ## A transfer that does not help
#
# ### "The more pictures a model has learned, the better it helps"
#
# `vit_cifar10` has learned 48,000 photographs in colour, nearly nine times as many pictures as the model of clothes. Is
# more first training better? Clothes as it wants them: 2 black pixels on each side make 32×32, and the grey three times
# makes colour.

# %% jupyter={"source_hidden": true}
photo_model = load_model(DATA_FOLDER / "vit_cifar10.safetensors")
drawn = {seed: draw_few(four, 20, seed) for seed in (*study.seeds, 100)}  # the last one searches the rate


def as_photos(images):  # [B, 1, 28, 28] -> [B, 3, 32, 32]
    return F.pad(images, (2, 2, 2, 2)).expand(-1, 3, -1, -1)


@torch.no_grad()
def after_blocks(one, images):  # -> the mean patch after 0, 1, ..., L blocks, [L+1, B, D]
    stages = [torch.stack(token_stages(one, one.card.normalize(batch))) for batch in images.split(500)]
    return torch.cat([one.norm(x)[:, :, one.num_prefix_tokens :].mean(dim=2) for x in stages], dim=1)


def probed(few, left, asked):  # features of each draw, of pictures left over, of those that judge
    def right(seed, rate, features, truth):
        layer = linear_probe(few[seed], drawn[seed][0].train_labels, 4, rate)
        return share_right(layer(features).argmax(dim=1), truth)

    tried = {rate: [right(100, rate, left, drawn[100][2])] for rate in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)}
    rate = best_rate(tried)
    accuracies = {seed: right(seed, rate.value, asked, four.test_labels) for seed in study.seeds}
    return Scores("probe", accuracies, rate, "points"), max(tried.values())


# %% tags=["trained-here", "claim-more-pictures"]
def by_block(one, prepare):  # after each number of blocks: Scores, and how many of the pictures left over were right
    few = {seed: after_blocks(one, prepare(chosen.train_images)) for seed, (chosen, _, _) in drawn.items()}
    left, asked = (after_blocks(one, prepare(images)) for images in (drawn[100][1], four.test_images))
    blocks = plots.watched(range(len(asked)), "block")
    return [probed({seed: x[k] for seed, x in few.items()}, left[k], asked[k]) for k in blocks]


photographs = by_block(photo_model, as_photos)
last, _ = photographs[-1]  # what its own head reads
pairs = {other: (last, reached(other, 20)) for other in ("trained features", "raw pixels")}
print(compare_each(pairs, "for clothes, the last features of 48,000 photographs are better", holds="if", of="draws"))

# %% [markdown]
# They are behind both. (The two models differ in more than the number of pictures, so this is one counter-example, and
# no rule.) Has the model of photographs forgotten what tells a shirt from a bag? These are the features *after its last
# block*, and that block writes what its own head reads: ten kinds of photographs (lesson 8). A new head may read
# elsewhere. Here is the same probe after each block. The pictures that were left over choose the best block, not those
# that judge.

# %% tags=["trained-here"]
torch.manual_seed(0)
fresh = ViT(photo_model.config).eval()
fresh.card = photo_model.card
rows = {"48,000 photographs": photographs, "the same shape, untrained": by_block(fresh, as_photos)}
rows["six kinds of clothes"] = by_block(model, lambda images: images)
print(f"{'blocks':<27}" + "".join(f"{k:>6}" for k in range(len(photographs))))
best = {}
for name, places in rows.items():
    print(f"{name:<27}" + "".join(f"{mean(scores):>6.0%}" for scores, _ in places))
    k = max(range(len(places)), key=lambda place: places[place][1])
    print(f"{'':<27}best on the pictures left over: after {k} blocks, there {places[k][1][0]:.1%}")
    best[name] = places[k][0]
others = {"after the last block": last, "six kinds of clothes": best["six kinds of clothes"]}
pairs = {other: (best["48,000 photographs"], scores) for other, scores in others.items()}
pairs["raw pixels"] = best["48,000 photographs"], reached("raw pixels", 20)
print(compare_each(pairs, "for clothes, photographs are better from an earlier block", holds="if", of="draws"))

# %% [markdown]
# So nothing is lost. Before the last block the same probe gains more than nine points, and now the photographs are
# ahead of the six kinds of clothes. The untrained model comes nowhere near: it is the training that brings this, not
# the shape. What stays ahead are the raw pixels.
#
# **What one would measure before trusting a transfer**, in this order. All but the last take seconds to a minute:
#
# | measure | it tells |
# |---|---|
# | one linear layer on raw pixels | how much of the task needs no model |
# | the same on an untrained model's features | what the architecture brings, without any learning |
# | neighbours and linear probe on the trained features | what the first training brings, where its own head reads |
# | the same after earlier blocks, on the mean of the patches | whether more of it lies elsewhere; still below the pixels: stop and think |
# | from scratch, same pictures and steps | what all weights would reach without it |
# | a second split of the kinds, with a first training of its own | whether it was luck: which kinds were known, which new |

# %% [markdown]
# ## The trap
#
# Ways to ruin it. Each is an honest mistake, none is an error, and each leaves a model that learns something. That one
# of these made 40% of a good ViT-B/16 is a **hypothesis**: the notes tell the model and the pictures, not the rate.
#
# | what | why it happens |
# |---|---|
# | no warm-up, or ten times the rate | somebody takes the optimizer's default, 0.001, or the rate of a first training |
# | mean and std forgotten | `ToTensor` alone gives 0 to 1 |
# | the old head kept | the classes fit in, so nobody complains |
# | small pictures blown up to the size of the first training | the model insists on its size |
#
# The ViT that learned six kinds of photographs was taken through each of them, all weights, 100 pictures a kind, five
# draws. Guess before you look: which costs most? Rates are given where a rate is the mistake; all others have the rate
# that validation chose. *Three at once* is no warm-up, mean and std forgotten and the head not reset; *all at once* has
# half the size, blown up, as well.

# %% jupyter={"source_hidden": true}
trap = load_study("transfer_trap")
right = trap.scores("nothing wrong")
print("made by:", trap.command, "with seeds", trap.seeds)
print(f"rate of 'nothing wrong', the best of {len(right.rate.tried)}: {right.rate.value:g}")
rows = {name: list(trap.scores(name).by_seed.values()) for name in trap.variants}
figure, axes = plots.new_figure(1, 1, size=(9, 4.2))
plots.draw_spread(axes[0, 0], rows, xlabel="right answers, one point for each draw; guessing gives 25%")
means = "; ".join(f"{name} {fmean(row):.0%}" for name, row in rows.items())
plots.show(figure, alt=f"A row of five points for each way to do it. Their means: {means}.")

# %% [markdown]
# ### "Pre-trained, and only 40% on CIFAR-10: the data set is too small for a ViT"
#
# What was published with the same kind of model decides about the sentence. And the trap, rebuilt small, says which
# mistakes could do such harm, each against *nothing wrong*, draw by draw:

# %% tags=["claim-N4"]
# google-research/vision_transformer, README since 24 May 2021, "Available ViT models", ViT-B_16 on cifar10
published = {"without dropout": 0.9902, "with dropout of 0.1": 0.9876}
so_few = {run: value <= 0.40 for run, value in published.items()}
print(judge(so_few, "a ViT-B/16 can learn no more than 40% from CIFAR-10"))
print()
mistakes = [name for name in trap.variants if name != "nothing wrong" and not name.startswith(("half", "linear"))]
harm = {name: (right, trap.scores(name)) for name in mistakes}
print(compare_each(harm, "the mistake does harm", holds="if"))

# %% [markdown]
# Of the single mistakes ten times the rate, *without* warm-up, costs most: 13 points. Rate or warm-up: which of the two
# it is, these variants do not say. At the right rate, to leave out the warm-up did no harm that can be shown. So the
# guess that 0.001, the optimizer's default, made the 40% finds no support here: for this small model it is the right
# rate. For one of 86 million weights it may be too much, and nothing here tests that. What a rate needs is not a rule
# of thumb but a search.
#
# Two more questions. Small pictures: is it better to blow them up (16×16 to 32×32), or to interpolate the model's
# positions to fewer patches (lesson 3)? And a linear probe: does it notice a forgotten mean and std?

# %%
interpolated, enlarged = trap.scores("half size, positions interpolated"), trap.scores("half size, enlarged")
print(compare(interpolated, enlarged, "positions interpolated are better than pictures enlarged"))
probe_right, probe_wrong = trap.scores("linear probe"), trap.scores("linear probe, mean and std forgotten")
print(compare(probe_right, probe_wrong, "a forgotten mean and std harm a linear probe"))
below = {name: (probe_right, trap.scores(name)) for name in mistakes}
print(compare_each(below, "all weights with this mistake end below a linear probe done rightly", holds="if"))

# %% [markdown]
# So enlarging was no mistake, only expensive: four times the tokens for the same picture. And what saves one from the
# others is a *number to expect*: a linear probe on frozen features first. Whoever has that number, and enough pictures
# (here 100 of each kind), and sees all weights end clearly below it, should look for a mistake before blaming the data.
# What the probe does not see is the small harm: there only care helps, and a look at what goes into the model.

# %% [markdown]
# ## Bug clinic: six fine-tunings
#
# Six people took the same trained model to the same 80 pictures of new clothes. One did all as it should be, and five
# made one mistake each. None of them got an error message. `patient(letter, model, few)` gives what each of them
# brought to `fit`: a model, pictures, and the settings. Before the training we look at what goes in, at what the
# features have in common with those of the trained model (the cosine, 1 if they are the same), and at the loss: a new
# head for four classes knows nothing, and guesses with ln 4 = 1.39. Then we train, and look how the loss begins, how
# far the weights have moved (1: by as much as they were long), and what came of it.

# %% tags=["trained-here"] jupyter={"source_hidden": true}
pixels = few.train_images
wanted = features_of(model, model.card, pixels)
print("        goes in        features  loss    after epoch      moved             accuracy")
print("        mean   std    as before  before   1     2     block 0  block 3")
for letter in "ABCDEF":
    sick, data, config = patient(letter, model, few)
    given = sick.card.normalize(pixels)
    alike = F.cosine_similarity(features_of(sick, sick.card, pixels), wanted).mean()
    with torch.no_grad():
        loss = F.cross_entropy(sick(given), few.train_labels)
    before = [copy.deepcopy(block.mlp.fc1.weight.detach()) for block in sick.blocks]
    losses = fit(sick, data, config, progress=False).train_loss
    moved = [
        ((block.mlp.fc1.weight - old).norm() / old.norm()).item()
        for block, old in zip(sick.blocks, before, strict=True)
    ]
    print(
        f"{letter}    {given.mean():7.2f} {given.std():5.2f} {alike:10.2f} {loss:8.2f} {losses[0]:6.2f}{losses[1]:6.2f}"
        f" {moved[0]:8.2f} {moved[3]:8.2f} {judged(sick):>15}"
    )

# %% [markdown]
# Look at the accuracies last, and then do not trust them: one of the five mistakes hardly shows there, with these
# pictures.

# %% [markdown]
# ## Exercise: what is wrong with them?
#
# Difficulty 3 of 5, about 15 minutes. Importance 3 of 3. You get the letters of all patients in one string, "ABCDEF".
# Return a dict, `{"A": "…", "B": "…", …}`, that gives each letter one of these words:
#
# | word | the mistake |
# |---|---|
# | `"well"` | none |
# | `"statistics"` | mean and std are forgotten: the pixels go in from 0 to 1 |
# | `"head"` | the old head for six kinds is kept |
# | `"weights"` | the trained weights never came in: only the shape of the model is the same |
# | `"frozen"` | everything but the head is frozen, and nobody meant it |
# | `"rate"` | the rate is ten times as high, and does not warm up |
#
# <details><summary>Hint 1</summary>
#
# Work from left to right. Two patients have other features than the trained model before the training. For one of them
# that has a simple reason, which stands in the columns before it.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Which loss must a head have that knows nothing, and who has another? Who has not moved, and who has moved by more than
# the weights were long?
#
# </details>


# %% tags=["exercise"]
def my_recipe_diagnoses(patients): ...  # "ABCDEF" -> {"A": "…", "B": "…", …}


check.fine_tuning_clinic(my_recipe_diagnoses)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_recipe_diagnoses(patients):
    return {"A": "frozen", "B": "statistics", "C": "head", "D": "well", "E": "weights", "F": "rate"}


check.fine_tuning_clinic(my_recipe_diagnoses)

# %% [markdown] tags=["extra"]
# ### "`Resize(224)` and `Normalize(0.5)` prepare a picture for a ViT"
#
# *Extra.* So the notes prepare theirs. `Resize(224)` makes the *shorter* side 224 pixels long. And which mean and std
# are right the weights decide, since they have learned with them. timm's `vit_base_patch16_224` learned with 0.5 for
# all (its `default_cfg` says so). torchvision says of its own weights:

# %% tags=["extra", "claim-input"]
from torchvision.models import ViT_B_16_Weights
from torchvision.transforms.v2 import Resize

theirs = ViT_B_16_Weights.IMAGENET1K_V1.transforms()
print("mean", theirs.mean, "std", theirs.std)
print(f"the shorter side becomes {theirs.resize_size}, then the middle is cut out, {theirs.crop_size} wide and high")
inputs = {"of CIFAR-10": torch.zeros(3, 32, 32, dtype=torch.uint8), "wider than high": pictures("coffee", 256)[:, :192]}
resized = {name: list(Resize(224)(picture).shape) for name, picture in inputs.items()}
for name, picture in inputs.items():
    print(f"a picture {name}: {list(picture.shape)} -> {resized[name]}")
as_wanted = {f"the picture is {name}": shape == [3, 224, 224] for name, shape in resized.items()}
print(judge(as_wanted, "Resize(224) gives 224x224 pixels", holds="if"))
print(judge(theirs.mean == theirs.std == [0.5] * 3, "0.5 is right for torchvision's ViT-B/16"))

# %% [markdown] tags=["extra"]
# For CIFAR-10 and timm's weights both lines were right, so they do not explain the 40%. For other pictures cut out the
# middle after resizing, `CenterCrop(224)`. And let the weights say mean and std: here they are part of the model's
# card.

# %% [markdown] tags=["extra"]
# ### "An epoch of CIFAR-10 at 224 pixels takes ten minutes"
#
# *Extra.* So the notes say, of their ViT-B/16. Is that the model's fault? A forward pass costs so many operations, a
# training step about three times as many (forward, and two products each on the way back). An Nvidia T4, the card of
# free notebooks, does at most 8.1 trillion a second in float32, and 65 in half precision (its data sheet). Say it
# reaches a third of that:

# %% tags=["extra", "claim-F2"]
operations = 3 * 50_000 * flops_per_image(ViT.from_name("ViT-B/16", image_size=224).config)
print(
    f"an epoch: {operations / 1e12:,.0f} trillion operations; ten minutes for it: {operations / 600 / 1e12:.1f} trillion a second"
)
minutes = {
    name: operations / (peak * 1e12 / 3) / 60 for name, peak in {"in float32": 8.1, "in half precision": 65}.items()
}
for name, value in minutes.items():
    print(f"T4 {name}: {value:.0f} minutes")
print(judge({name: value >= 10 for name, value in minutes.items()}, "an epoch takes ten minutes or more", holds="if"))

# %% [markdown]
# ## A folder of your own
#
# Five steps, the same for two hundred pictures of your dogs and for this folder, which the lesson makes: 24 cut-outs
# from each of four photographs, as PNG files. Put your own folder in the place of `folder`, one sub-folder for each
# kind.

# %%
folder = Path(tempfile.mkdtemp()) / "mine"
random = torch.Generator().manual_seed(0)
for name in ("chelsea", "coffee", "rocket", "astronaut"):
    (folder / name).mkdir(parents=True)
    photograph = pictures(name, 256)
    for number in range(24):
        top, left = torch.randint(0, 128, (2,), generator=random).tolist()
        cut_out = photograph[:, top : top + 128, left : left + 128]
        Image.fromarray(cut_out.permute(1, 2, 0).numpy()).save(folder / name / f"{number}.png")

# %%
# 1. Read them in the size of the model. A fifth of each kind is put aside to judge.
mine = Dataset.from_folder(folder, image_size=photo_model.config.image_size)
print(mine)

# 2. A number to expect: raw pixels, and frozen features.
card = photo_model.card
for name, start in {"raw pixels": None, "frozen features": photo_model}.items():
    layer = linear_probe(features_of(start, card, mine.train_images), mine.train_labels, mine.num_classes, 0.01)
    right = layer(features_of(start, card, mine.test_images)).argmax(dim=1) == mine.test_labels
    print(f"{name}, one linear layer: {right.sum()} of {len(right)} right")

# %%
# 3. A new head, 4. all weights: the model's own mean and std, a small rate, a warm-up.
own = reset_head(load_model(DATA_FOLDER / "vit_cifar10.safetensors"), mine.num_classes)
config = TrainingConfig(
    epochs=5, batch_size=20, learning_rate=0.001, warmup_epochs=1, flip=True, validation_fraction=0, device="cpu"
)
fit(own, replace(mine, mean=card.mean, std=card.std), config, progress=False)

# 5. Judge it, and ask it.
result = evaluate(own, mine.test_images, mine.test_labels)
print(f"all weights: {with_error(result.accuracy, len(mine.test_labels))} right")
print("a whole photograph:", predict(own, pictures("coffee", 256)).best(1)[0][0])

# %% [markdown]
# From the frozen features on, all 20 answers are right. That is the moment to grow suspicious. All cut-outs of a kind
# come from *one* photograph, those that judge too. So the model knows four photographs, and what it would say of
# another cat, nobody has measured. **Split by what may be new**: by photograph, by dog, by day, by hospital.
# `from_folder` takes a folder with `train/` and `test/` in it.

# %% [markdown] tags=["extra"]
# *Extra.* With a network, a large model takes the place of `photo_model`: `ViT.from_pretrained` fetches published
# weights, and the five steps stay. Say `fetch = True` and run the cell.

# %% tags=["extra"]
fetch = False
if fetch:
    large = ViT.from_pretrained("ViT-B/16", num_classes=mine.num_classes)  # 346 MB, once; mean and std on its card
else:
    print("Nothing is fetched: the course's own model stays.")
    large = reset_head(load_model(DATA_FOLDER / "vit_cifar10.safetensors"), mine.num_classes)
of_its_size = Dataset.from_folder(folder, image_size=large.config.image_size)
seen = features_of(large, large.card, of_its_size.train_images)
layer = linear_probe(seen, of_its_size.train_labels, of_its_size.num_classes, 0.01)
right = layer(features_of(large, large.card, of_its_size.test_images)).argmax(dim=1) == of_its_size.test_labels
print(f"frozen features {list(seen.shape)}: {right.sum()} of {len(right)} right")

# %% [markdown]
# ## What to remember
#
# 1. A trained model is a starting point and a set of features. Measure both: a linear probe, and all weights.
# 2. Its mean, its std and its size belong to it. Its head belongs to its old classes.
# 3. The rate for all weights must be searched for. Ten times the right one, without warm-up, did the most harm of all
#    single mistakes; at the right one, to leave out the warm-up did none that was shown.
# 4. LoRA learns W + BA, begins as zero, and disappears into W at the end.
# 5. Before you trust a transfer, beat the raw pixels and the same model from scratch, with the same pictures.
#
# | what | shape |
# |---|---|
# | features of B pictures | [B, D] |
# | a linear probe | weight [K, D], bias [K] |
# | A and B of a LoRA on a matrix [M, D] | [r, D] and [M, r] |
# | the LoRA of one attention: queries and values of [3D, D] | 4rD numbers |
# | positions of a model that goes to other pictures | [1, 1 + N, D], interpolated to the new N |
#
# **Five questions.** Three on this lesson, and two that mix in earlier ones.
#
# <details><summary>A linear probe reaches 80%, and all weights 55%, with the same pictures. What do you
# conclude?</summary>That the fine-tuning is broken: all weights could have stayed where they were, and reached the 80%. Look at
# the rate first, then at the warm-up. It says nothing about the size of the data set.</details>
# <details><summary>Why may B begin as zeros, but not A and B both?</summary>The gradient of B is a product with A, and that of A a
# product with B. If both are zero, both gradients are zero, and nothing is ever learned.</details>
# <details><summary>A ViT with pre-training beats one without by 15 points. Was the transfer worth it?</summary>Not yet. Raw
# pixels may beat both, as they do here with up to 20 pictures a kind. With and without compares two ViTs, not the task's best way.</details>
# <details><summary>The model was trained on 224×224, your pictures have 32×32. What are the two ways, and what becomes of the
# number of tokens (lesson 3)?</summary>Blow the pictures up: 196 tokens and the class token, as before. Or interpolate the
# positions: with patches of 16 that leaves 2×2 tokens, which is little; so large models are given larger pictures.</details>
# <details><summary>You freeze all but the head. Which of the encoder's tokens does the training then see
# (lesson 2)?</summary>Of a model with a class token only that one, after the last norm. What the patches hold, and the class
# token did not collect in the first training, stays out of reach.</details>
#
# **Next**: [lesson 11](11_train_on_a_gpu.ipynb) trains a ViT on photographs from the first step to the last.
#
# **Read on**: Dosovitskiy et al. 2021, section 4.6 and appendix B.1.2 · Hu et al. 2022, *LoRA* · Steiner et al. 2022,
# *How to train your ViT?* · Kumar et al. 2022, *Fine-Tuning can Distort Pretrained Features and Underperform
# Out-of-Distribution* · Kornblith, Shlens and Le 2019, *Do Better ImageNet Models Transfer Better?* · Bao et al. 2022,
# *BEiT* (layer-wise rates for images) · Xie et al. 2022, *SimMIM*, and He et al. 2022, *Masked Autoencoders* (hidden
# patches) · google-research/vision_transformer, README, "Available ViT models" · the code of this lesson:
# `vit_tutorial/training/fine_tuning.py`, `vit_tutorial/training/lora.py`, `vit_tutorial/studies/clothes.py`,
# `vit_tutorial/studies/transfer.py`.
