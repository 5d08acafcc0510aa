# %% [markdown]
# # 3 · Position embeddings: where was this patch?
#
# **The question.** Here is the cat, and the cat after somebody dropped it: the same 49 patches in another order. You
# see the difference at once. *Does a Vision Transformer notice if we shuffle its patches?*
#
# **What you will do**
#
# 1. Shuffle three tokens with a pencil, and see what stays and what moves.
# 2. Prove on the cat that a ViT without positions is blind to order, and cure it.
# 3. Make positions out of waves, and look at those that a model has learned.
# 4. Give two models a jigsaw puzzle. One of them cannot solve it.
# 5. Move a trained model to images of another size.
#
# **Time**: 40 minutes. **You need**: lessons 1 and 2, sine and cosine.

# %%
import math
from dataclasses import replace

import torch
from einops import rearrange
from torch.nn import functional as F

from vit_tutorial import PositionEmbedding, ViT, ViTConfig, interpolate_positions, load_model, load_weights
from vit_tutorial import patchify, plots, sincos_1d, sincos_2d, unpatchify
from vit_tutorial.datasets import DATA_FOLDER, load, pictures
from vit_tutorial.exercises import check
from vit_tutorial.explore import PatchLab

torch.set_num_threads(1)  # the same numbers on every machine
torch.set_printoptions(precision=3, sci_mode=False)


# %%
def shuffle_patches(images, patch_size, order):
    patches = patchify(images, patch_size)[:, order]  # [B, N, P*P*C]: the same patches in another order
    return unpatchify(patches, images.shape[-1], channels=images.shape[1])


cat = pictures("chelsea")
order = torch.randperm(49, generator=torch.Generator().manual_seed(0))
dropped = shuffle_patches(cat[None], 32, order)[0]

figure, axes = plots.new_figure(1, 2, size=(8, 4.3))
plots.draw_patches(axes[0, 0], cat, 32, "the cat", numbers=False)
plots.draw_patches(axes[0, 1], dropped, 32, "the same 49 patches in another order", numbers=False)
plots.show(figure, alt="A cat's face, and the same picture with its 49 square patches shuffled into nonsense.")

# %% [markdown]
# The same in a picture you can touch. The explorer opens with a shuffled sequence. **Move along the sequence** and look
# at the row of numbers of each patch. It holds the colours of the patch. Does any number in it say where the patch was?

# %%
PatchLab({name: pictures(name) for name in ("chelsea", "astronaut")}, patch_size=32, order="shuffled")

# %% [markdown]
# ## By hand
#
# Three tokens of two numbers: A = [1, 0], B = [0, 2], C = [3, 1].
#
# In a block, tokens look at each other. The real way is the matter of lesson 4. Here is the simplest way that has its
# main feature, small enough for a pencil: *find the largest first number and the largest second number of all tokens,
# and add these two to each token*.
#
# Largest first number: 3. Largest second number: 2. So A becomes [1, 0] + [3, 2] = [4, 2]. Do B and C.


# %%
def toy_block(tokens):  # [N, D] -> [N, D]
    return tokens + tokens.amax(dim=0)  # every token looks at all tokens; none asks in which row they stand


A, B, C = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0]), torch.tensor([3.0, 1.0])
print("in  A B C ->", toy_block(torch.stack([A, B, C])).int().tolist())
print("in  C A B ->", toy_block(torch.stack([C, A, B])).int().tolist())

# %% [markdown]
# Shuffle the input, and the three outputs come out **shuffled in the same way**. C gets [6, 3] wherever it stands.
# There are two words for what happens, and they are often mixed up:
#
# | word | meaning | here |
# |---|---|---|
# | **equivariant** | shuffle the input, and the output is shuffled likewise: f(shuffle(x)) = shuffle(f(x)) | the three outputs |
# | **invariant** | shuffle the input, and the output stays as it is: f(shuffle(x)) = f(x) | the pair [3, 2], which all tokens receive |
#
# **The cure.** Give each *place* in the sequence a vector of its own, and add it to the token that stands there. Let
# place 0 have [0, 0], place 1 [0, 1], place 2 [0, 2]. Compute the sequences A B C and C A B with a pencil.

# %%
places = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 2.0]])  # [N, D]: one vector for each place
for name, tokens in (("A B C", [A, B, C]), ("C A B", [C, A, B])):
    z = torch.stack(tokens) + places
    print(f"{name}: with places {z.int().tolist()}, all tokens receive {z.amax(dim=0).int().tolist()}")

# %% [markdown]
# Now the order makes a difference: [3, 3] or [3, 4].
#
# ## In code
#
# Here is the whole of equation 1. Lesson 1 made the patches, lesson 2 put the class token in front. Now the last term:
#
# $$z_0 = [\,x_{\text{class}};\; x_p^1 E;\; \cdots;\; x_p^N E\,] + E_{pos}
# \qquad E_{pos} \in \mathbb{R}^{(N+1) \times D} \qquad \text{(equation 1)}$$
#
# E_pos is a table with one row for each place, the class token's included. It is the same for every image.

# %%
torch.manual_seed(0)
position = PositionEmbedding(num_tokens=197, dim=768)
tokens = torch.randn(2, 197, 768)  # [B, N+1, D], as lesson 2 left them
print(list(tokens.shape), "+", list(position.pos_embed.shape), "->", list(position(tokens).shape))
print("it is a plain sum:", torch.equal(position(tokens), tokens + position.pos_embed))
print("numbers to learn: 197 * 768 =", position.pos_embed.numel())

# %% [markdown]
# One could also put the position beside the token, as extra numbers. Adding keeps the token at D numbers.

# %% [markdown]
# ## Claims, tested
#
# **"Attention is permutation-invariant."** You will read this in many notes. We take a whole ViT without positions, of
# 4 blocks, in 64-bit numbers, and show it both cats.

# %%
torch.manual_seed(0)
size = {"image_size": 224, "patch_size": 32, "dim": 64, "depth": 4, "num_heads": 4, "num_classes": 10}
blind = ViT(ViTConfig(**size, position="none")).double().eval()
both = torch.stack([cat, dropped]).double() / 255  # [2, 3, 224, 224]
with torch.no_grad():
    stages = blind.forward_intermediates(both)

straight, shuffled = stages["norm"]  # [50, 64] each: the tokens after the last block
print("patch outputs stay as they are:     ", torch.allclose(straight[1:], shuffled[1:]))
print("patch outputs are shuffled likewise:", torch.allclose(straight[1:][order], shuffled[1:], rtol=0, atol=1e-12))
print("class output stays as it is:        ", torch.allclose(straight[0], shuffled[0], rtol=0, atol=1e-12))
print("verdict: FALSE as said - it is equivariant; what is invariant is the class output (or a mean of all)")

# %% [markdown]
# The head reads the class output. So for this model the cat and the heap of patches are one and the same picture. A
# second model has positions; nothing else is changed.

# %%
torch.manual_seed(0)
seeing = ViT(ViTConfig(**size, position="sincos")).double().eval()
with torch.no_grad():
    logits = {"without positions": blind(both), "with positions": seeing(both)}  # [2, 10] each
for name, (one, other) in logits.items():
    gap = (one - other).abs().max().item()
    print(f"{name}: logits differ by less than 0.000000000001: {gap < 1e-12}, by more than 0.01: {gap > 0.01}")

# %%
figure, axes = plots.new_figure(1, 4, size=(11, 2.8), width_ratios=[1, 1, 1.5, 1.5])
plots.draw_image(axes[0, 0], cat, "the cat")
plots.draw_image(axes[0, 1], dropped, "shuffled")
for ax, (name, (one, other)) in zip(axes[0, 2:], logits.items(), strict=True):
    ax.bar(torch.arange(10) - 0.2, one, 0.4, color=plots.BLUE, label="cat")
    ax.bar(torch.arange(10) + 0.2, other, 0.4, color=plots.ORANGE, label="shuffled")
    ax.set_title(f"10 logits, {name}", fontsize=10)
    ax.set_xticks([])
axes[0, 2].legend(frameon=False, fontsize=8)
plots.show(
    figure,
    alt="The cat and the shuffled cat. Without positions all ten bars are the same for both pictures; with positions they differ.",
    caption="Both models are untrained: what the ten logits mean does not matter here, only whether they differ.",
)

# %% [markdown]
# So the answer to our question is: **without positions it notices nothing at all. With positions it can.**
#
# Does a *trained* model? Here is the course's own, on pictures of clothes. It was trained with positions. We shuffle the
# 49 patches of each test picture, all in the same way.

# %%
model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
images, labels = data.test_images[::4], data.test_labels[::4]  # 500 pictures


def accuracy(vit, x):
    with torch.no_grad():
        return (vit(x).argmax(dim=1) == labels).float().mean().item()


x = model.card.normalize(images)  # [500, 1, 28, 28]
shuffled = shuffle_patches(x, 4, order)
print(f"as they are: {accuracy(model, x):.0%} right, shuffled: {accuracy(model, shuffled):.0%} right")

# %% [markdown]
# It notices. What is left to it after the shuffle is what a heap of patches can tell: how much is dark, how much is
# bright, which textures there are.
#
# **"Without positions the model must solve a jigsaw."** We make the smallest jigsaw there is. Two patches, one with
# upright stripes and one with level stripes, and some noise. Class 0: upright is on the left. Class 1: it is on the
# right. Both classes consist of the same two patches; only the arrangement tells.

# %%
upright = torch.tensor([1.0, -1.0, 1.0, -1.0]).expand(4, 4)
halves = torch.stack([torch.cat([upright, upright.T], 1), torch.cat([upright.T, upright], 1)])  # [2, 4, 8]


def jigsaws(number, seed):
    noise = torch.randn(number, 1, 4, 8, generator=torch.Generator().manual_seed(seed))
    y = torch.arange(number) % 2
    return halves[y][:, None] + 0.3 * noise, y  # [number, 1, 4, 8] and [number]


figure, axes = plots.new_figure(1, 4, size=(11, 1.4))
for ax, image, y in zip(axes[0], *jigsaws(4, seed=1), strict=True):
    plots.draw_image(ax, (image.clamp(-1, 1) + 1) / 2, f"class {y}")
plots.show(
    figure, alt="Four small pictures: upright stripes left of level ones for class 0, right of them for class 1."
)


# %%
def learn_jigsaw(position):
    torch.manual_seed(0)
    shape = {"image_size": (4, 8), "patch_size": 4, "in_channels": 1, "num_classes": 2}
    vit = ViT(ViTConfig(**shape, dim=32, depth=2, num_heads=2, position=position))
    optimizer = torch.optim.AdamW(vit.parameters(), lr=0.003)
    for step in range(100):
        x, y = jigsaws(64, seed=step)
        optimizer.zero_grad()
        F.cross_entropy(vit(x), y).backward()
        optimizer.step()
    return vit.double().eval()


test, _ = jigsaws(500, seed=1000)
swapped = torch.cat([test[..., 4:], test[..., :4]], dim=-1)  # the same patches, arranged the other way round
x, y = torch.cat([test, swapped]).double(), torch.cat([torch.arange(500) % 2, 1 - torch.arange(500) % 2])

# %%
for position in ("none", "learned"):
    vit = learn_jigsaw(position)
    with torch.no_grad():
        logits = vit(x)  # [1000, 2]
    same = torch.allclose(logits[:500], logits[500:], rtol=0, atol=1e-12)
    right = (logits.argmax(dim=1) == y).float().mean().item()
    print(f"position={position!r:<10} logits of both arrangements are the same: {same!s:<6} right answers: {right:.0%}")
print("verdict: TRUE - and without positions it cannot be solved, however long one trains")

# %% [markdown]
# Exactly half: of each pair of arrangements the blind model gets one right and the other wrong, as it must.
#
# On real photographs, a heap of patches tells a lot. The paper measured how much (table 8: ViT-B/16, ImageNet, a linear
# classifier on 5 pictures a class; these are the paper's figures, not ours):
#
# | positions | accuracy |
# |---|---|
# | none | 0.61382 |
# | 1-D learned, the standard | 0.64206 |
# | 2-D learned | 0.64001 |
# | relative | 0.64032 |
#
# The model without positions is clearly worst. Between the others there is little to choose, in this one experiment.

# %% [markdown]
# ## Positions made of waves
#
# Positions need not be learned. The first Transformer used sine and cosine. Column pairs are waves, from fast to slow,
# like the hands of a clock: the first hand turns quickly, the next one more slowly.
#
# $$PE(pos, 2i) = \sin\!\left(\frac{pos}{10000^{2i/D}}\right) \qquad
# PE(pos, 2i+1) = \cos\!\left(\frac{pos}{10000^{2i/D}}\right)
# \qquad \text{(Vaswani et al. 2017, section 3.5)}$$
#
# Take D = 4 and four positions. i is 0 or 1. For i = 0 we divide by 10000⁰ = 1, for i = 1 by 10000^(2/4) = 100. So
# position 3 is [sin 3, cos 3, sin 0.03, cos 0.03]. A pocket calculator (in radians) gives 0.141, −0.990, 0.030, 1.000.

# %%
table = torch.zeros(4, 4, dtype=torch.float64)  # [N=4 positions, D=4]
for pos in range(4):
    for i in range(2):
        angle = pos / 10_000 ** (2 * i / 4)
        table[pos, 2 * i] = math.sin(angle)
        table[pos, 2 * i + 1] = math.cos(angle)
print(table)
print("the course's sincos_1d gives the same:", torch.allclose(sincos_1d(4, 4).double(), table, atol=1e-6))

# %%
figure, axes = plots.new_figure(1, 2, size=(10, 3.6), width_ratios=[1, 2])
columns = ["sin", "cos", "sin", "cos"]
plots.draw_matrix(
    axes[0, 0], table, "4 positions, D = 4", [f"pos {n}" for n in range(4)], columns, cmap="RdBu", vmin=-1.6, vmax=1.6
)
plots.draw_matrix(axes[0, 1], sincos_1d(50, 96), "50 positions, D = 96", decimals=None, cmap="RdBu", aspect="auto")
axes[0, 1].set_xlabel("column: fast waves left, slow waves right")
axes[0, 1].set_ylabel("position")
plots.show(
    figure,
    alt="Left, a table of 4 positions with their sines and cosines. Right, 50 positions as colours: quick waves on the left, slow ones on the right.",
)

# %% [markdown]
# No two rows are alike, so each position has its own name tag. And there is order in it. To compare two vectors we use
# the **cosine similarity**: 1 if they point the same way, 0 if they have nothing in common, −1 if they are opposite.
#
# An image has two directions. In reading order, patch 27 ends one row of a 7×7 grid and patch 28 begins the next: side
# by side on the line, far apart in the picture. `sincos_2d` therefore uses half of the numbers for the column and half
# for the row. Below, every patch is compared with patch 24, the one in the middle. **Change `patch` and run it again.**


# %%
def similarity(positions):  # [N, D] -> [N, N]
    return F.cosine_similarity(positions[:, None], positions[None], dim=-1)


patch = 24
figure, axes = plots.new_figure(1, 2, size=(8, 3.6))
for ax, positions, name in ((axes[0, 0], sincos_1d(49, 64), "sincos_1d"), (axes[0, 1], sincos_2d(7, 64), "sincos_2d")):
    grid = similarity(positions)[patch].reshape(7, 7)
    plots.draw_matrix(ax, grid, f"{name}: similarity to patch {patch}", vmin=0.5, vmax=1)
plots.show(
    figure,
    alt="Two 7 by 7 grids. In 1-D similarity is high along the middle row only; in 2-D it falls off in all directions alike.",
)

# %% [markdown]
# ## Positions that a model learned
#
# The standard ViT learns its table, as plain 1-D positions. Nobody tells it that patches lie in a grid.
#
# **"Neighbouring positions get similar embeddings."** We compare all 49 positions of the trained model with each other.
# The control is a model of the same shape before training.

# %%
trained = model.position.pos_embed[0, 1:].detach()  # [49, 64], without the class token's
torch.manual_seed(0)
untrained = ViT(model.config).position.pos_embed[0, 1:].detach()

row, column = torch.arange(49) // 7, torch.arange(49) % 7
steps = (row[:, None] - row).abs() + (column[:, None] - column).abs()  # [49, 49]: steps from patch to patch
print("cosine similarity, mean over pairs")
for name, positions in (("trained", trained), ("untrained", untrained)):
    near, far = (similarity(positions)[mask].mean().item() for mask in (steps == 1, steps >= 4))
    print(f"{name:<10} next to each other: {near:5.2f}   4 or more steps apart: {far:5.2f}")
print("verdict: TRUE for this trained model; training did it")


# %%
def all_maps(positions):  # 49 little maps of 7x7, each at the place of its patch
    maps = similarity(positions).reshape(7, 7, 7, 7)
    framed = F.pad(maps, (0, 1, 0, 1), value=torch.nan)  # [7, 7, 8, 8]: a thin line between maps
    return rearrange(framed, "r c h w -> (r h) (c w)")


figure, axes = plots.new_figure(1, 2, size=(10, 5))
for ax, name, positions in ((axes[0, 0], "trained", trained), (axes[0, 1], "untrained", untrained)):
    plots.draw_matrix(ax, all_maps(positions), name, decimals=None, vmin=-1, vmax=1)
plots.show(
    figure,
    alt="Two grids of 49 small maps. Trained: each map is brightest at its own place and bright around it. Untrained: one bright cell in each map, the rest without pattern.",
    caption="Each small map compares one position with all 49, as in figure 7 (centre) of the paper. Yellow is 1, dark blue is −1.",
)

# %% [markdown]
# The model found the grid by itself. How clear the pattern is depends on how a model was trained; the paper shows three
# different ones in figure 10.

# %% [markdown]
# ## Another image size
#
# **"A ViT takes any resolution, because the sequence may be any length."** The course's model was trained on 28×28
# pixels with P = 4. We enlarge the test pictures to 56×56. That makes 14·14 = 196 patches in place of 49.

# %%
large = F.interpolate(model.card.normalize(images), size=56, mode="bilinear")  # [500, 1, 56, 56]
bigger = ViT(replace(model.config, image_size=56)).eval()
try:
    load_weights(bigger, model.state_dict())
except ValueError as error:
    print(error)

# %% [markdown]
# The blocks do not mind 197 tokens. But there are only 50 rows of positions. The way out: 49 positions are a picture of
# 7×7 pixels with D channels, and pictures can be enlarged. This is the paper's way too (section 3.2). The position of
# the class token has no place in the grid and stays as it is.

# %%
weights = {name: value.clone() for name, value in model.state_dict().items()}
weights["pos_embed"] = interpolate_positions(weights["pos_embed"], old_grid=7, new_grid=14)
print(list(model.state_dict()["pos_embed"].shape), "->", list(weights["pos_embed"].shape))

channel = trained.std(dim=0).argmax()  # the liveliest of the 64 numbers
figure, axes = plots.new_figure(1, 2, size=(7, 3.5))
plots.draw_matrix(axes[0, 0], trained[:, channel].reshape(7, 7), "one number of 7x7 positions", decimals=None)
grid = weights["pos_embed"][0, 1:, channel].reshape(14, 14)
plots.draw_matrix(axes[0, 1], grid, "the same, interpolated to 14x14", decimals=None)
plots.show(figure, alt="A 7 by 7 grid of colours, and the same pattern drawn finer on a 14 by 14 grid.")

# %% [markdown]
# torchvision has a function for this. It draws the finer grid by a slightly different rule (its corners stay fixed);
# with the same rule we get its numbers.

# %%
from torchvision.models.vision_transformer import interpolate_embeddings

ours = interpolate_positions(
    model.position.pos_embed.detach(), 7, 14, mode="bicubic", align_corners=True, antialias=False
)
state = {"encoder.pos_embedding": model.position.pos_embed.detach().clone()}
theirs = interpolate_embeddings(image_size=56, patch_size=4, model_state=state)["encoder.pos_embedding"]
print(
    f"torchvision: {list(theirs.shape)}, largest difference below 0.00001: {(ours - theirs).abs().max().item() < 1e-5}"
)

# %% [markdown]
# Does the model still recognise the pictures? As a control, the same positions in the wrong places.

# %%
load_weights(bigger, weights)
kept = accuracy(bigger, large)

mixed = weights["pos_embed"].clone()
mixed[:, 1:] = mixed[:, 1 + torch.randperm(196, generator=torch.Generator().manual_seed(0))]
load_weights(bigger, weights | {"pos_embed": mixed})
print(f"28x28: {accuracy(model, model.card.normalize(images)):.0%} right")
print(f"56x56, positions interpolated: {kept:.0%} right")
print(f"56x56, the same positions in the wrong places: {accuracy(bigger, large):.0%} right")

# %% [markdown]
# Most of it is kept, with a loss. One likely reason: a patch of 4×4 pixels now shows a quarter of
# what it showed before, and the model has never seen things so close. So one goes on training for a little while at
# the new size; this is called *fine-tuning*. Here are 10 steps with 50 training pictures each. For comparison, the same
# 10 steps with new random positions.


# %%
def fine_tune(pos_embed):
    load_weights(bigger, weights | {"pos_embed": pos_embed})
    optimizer = torch.optim.AdamW(bigger.parameters(), lr=0.0005)
    chosen = torch.randperm(10_000, generator=torch.Generator().manual_seed(0))[:500]
    for batch in chosen.split(50):
        x = F.interpolate(model.card.normalize(data.train_images[batch]), size=56, mode="bilinear")
        optimizer.zero_grad()
        F.cross_entropy(bigger(x), data.train_labels[batch]).backward()
        optimizer.step()
    return accuracy(bigger, large)


tuned = fine_tune(weights["pos_embed"])
print("from interpolated positions, better than before fine-tuning:", tuned > kept)

# %%
fresh = torch.cat([weights["pos_embed"][:, :1], torch.randn(1, 196, 64) * 0.02], dim=1)
print("from random positions, more than 10 points behind:", tuned - fine_tune(fresh) > 0.10)
print("verdict: TRUE IF the positions are interpolated - and for full accuracy, fine-tuned after that")

# %% [markdown]
# ## Exercise: write `sincos_1d`
#
# Difficulty 3 of 5, about 10 minutes. Return a tensor [num_positions, dim]; dim is even. Use the formula above.
# Loops are fine. Replace the three dots, run the cell, and read what the check says.
#
# <details><summary>Hint 1</summary>
#
# Start from `torch.zeros(num_positions, dim)`. Two loops: `pos` over the rows, `i` over the dim/2 pairs of columns.
# A sine and the cosine to its right have the same angle.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The angle is `pos / 10_000 ** (2 * i / dim)`. Its sine goes to column `2 * i`, its cosine to column `2 * i + 1`.
# Positions and i are both counted from 0.
#
# </details>


# %% tags=["exercise"]
def my_sincos_1d(num_positions, dim): ...


check.sincos_1d(my_sincos_1d)

# %% [markdown]
# The solution is in the next cell, folded. It has no loop: `[:, None]` makes a column of positions, and the product with
# the row of frequencies is the whole table of angles.


# %% tags=["solution"] jupyter={"source_hidden": true}
def solution_sincos_1d(num_positions, dim):
    pos = torch.arange(num_positions, dtype=torch.float64)[:, None]  # [N, 1]
    i = torch.arange(dim // 2, dtype=torch.float64)  # [D/2]
    angle = pos / 10_000 ** (2 * i / dim)  # [N, D/2]
    table = torch.zeros(num_positions, dim)
    table[:, 0::2] = angle.sin()  # columns 0, 2, 4 ...
    table[:, 1::2] = angle.cos()  # columns 1, 3, 5 ...
    return table


check.sincos_1d(solution_sincos_1d)

# %% [markdown]
# ## What to remember
#
# 1. Without positions a ViT is equivariant: shuffled patches in, shuffled outputs out. Its class output is invariant.
# 2. So it cannot tell a cat from a heap of its patches.
# 3. The cure is to add one vector for each place, the same for every image.
# 4. The table may be learned, or made of sine and cosine waves. Learned ones discover the grid.
# 5. For another image size, interpolate the table like a picture, then fine-tune.
#
# | step | shape |
# |---|---|
# | tokens with the class token | [B, N+1, D] |
# | E_pos | [1, N+1, D] |
# | sum | [B, N+1, D] |
# | interpolated from 7×7 to 14×14 | [1, 1+49, D] → [1, 1+196, D] |
#
# **Three questions.**
#
# <details><summary>A ViT without positions and with mean pooling: is its answer equivariant or invariant?</summary>
# Invariant. Its patch outputs are shuffled with the patches, and a mean does not ask for the order.</details>
# <details><summary>A model without positions only ever sees pictures in the right order. Does that help it?</summary>
# No. It cannot tell whether the patches are in order: it gives the same logits either way.</details>
# <details><summary>How many numbers has the learned E_pos of ViT-B/16 at 224×224?</summary>197 · 768 = 151,296. It has
# a row for the class token too.</details>
#
# **Next**: the tokens know what they show and where they are. Lesson 4 opens the block, and shows how they look at each
# other.
#
# **Read on**: Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words*, sections 3.1 and 3.2, figure 7 and appendix D.4 ·
# Vaswani et al. 2017, *Attention Is All You Need*, section 3.5 · Beyer et al. 2022, *Better plain ViT baselines for
# ImageNet-1k*, for 2-D sine and cosine · the code of this lesson: `vit_tutorial/positions.py`.
