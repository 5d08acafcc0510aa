# %% [markdown]
# # 3 · Position embeddings: where was this patch?
#
# **The question.** Here is the cat, and the cat after somebody dropped it: the same 49 patches in another order. You
# see the difference at once. *Does a Vision Transformer notice if we shuffle its patches?*
#
# **What you will do**
#
# 1. Shuffle three tokens with a pencil, and see what stays and what moves.
# 2. Show that a ViT without positions is blind to order, and cure it.
# 3. Make positions out of waves, see why waves, and compare them with positions that a model has learned.
# 4. Give models a jigsaw puzzle that some of them cannot solve. Write your own positions, and watch a real ViT solve
#    it.
# 5. Move a trained model to images of another size.
#
# **Time**: 35 minutes, 5 more on a second reading, and 50 for the exercises; one of them is an extra. **You need**:
# lessons 1 and 2, sine and cosine.

# %%
import math
from dataclasses import replace
from statistics import fmean

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from vit_tutorial import PositionEmbedding, ViT, ViTConfig, interpolate_positions, load_model, load_weights
from vit_tutorial import patchify, plots, scaled_dot_product_attention, sincos_1d, sincos_2d, unpatchify
from vit_tutorial.datasets import DATA_FOLDER, load, pictures
from vit_tutorial.evidence import compare, compare_each, judge, with_error
from vit_tutorial.exercises import check
from vit_tutorial.explore import PositionLab
from vit_tutorial.studies import load_study

torch.set_num_threads(1)  # so that repeated runs agree
torch.set_printoptions(precision=3, sci_mode=False)


# %%
def shuffle_patches(images, patch_size, order):
    patches = patchify(images, patch_size)[:, order]  # [B, N, P*P*C]: the same patches in another order
    return unpatchify(patches, images.shape[-1], channels=images.shape[1])


cat = pictures("chelsea")
order = torch.randperm(49, generator=torch.Generator().manual_seed(0))
dropped = shuffle_patches(cat[None], 32, order)[0]

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 2, size=(8, 4.3))
plots.draw_patches(axes[0, 0], cat, 32, "the cat")
plots.draw_patches(axes[0, 1], dropped, 32, "the same 49 patches in another order", numbers=order.tolist())
plots.show(
    figure,
    alt="A cat's face, and the same picture with its 49 square patches shuffled into nonsense; each keeps its number.",
)

# %% [markdown]
# A token is made from the colours of one patch, and nothing else. Does its row of numbers say where it was?

# %%
straight, moved = patchify(cat[None], 32)[0], patchify(dropped[None], 32)[0]  # [49, 3072] each
print("patch that comes first after the fall: number", order[0].item())
print("is its row the same as before, to the last number?", torch.equal(moved[0], straight[order[0]]))

# %% [markdown]
# No number in the row says where the patch was. The two pictures are the same 49 rows, in another order. Everything now
# depends on whether the rest of the model asks for the order of its tokens.

# %% [markdown]
# ## By hand
#
# Three tokens of two numbers: A = [1, 0], B = [0, 2], C = [3, 1].
#
# In the blocks of a transformer, tokens look at each other. The real way is called attention (lesson 4): each token
# takes a weighted mean of all tokens, and the weights depend on what the tokens hold. Here is a simpler way with the
# same main feature, small enough for a pencil: *find the largest first number and the largest second number of all
# tokens, and add these two to each token*.
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
# ### A table with one row for each place
#
# Here is the whole of equation 1, with its last term:
#
# $$z_0 = [\,x_{\text{class}};\; x_p^1 E;\; \cdots;\; x_p^N E\,] + E_{pos}
# \qquad E_{pos} \in \mathbb{R}^{(N+1) \times D} \qquad \text{(equation 1)}$$
#
# E_pos is a table with one row for each place, the class token's included. It is the same for every image. The naive
# way to add it goes through all images and all places:

# %%
torch.manual_seed(0)
tokens = torch.randn(2, 197, 768)  # [B, N+1, D], as lesson 2 left them
table = torch.randn(197, 768) * 0.02  # [N+1, D]: E_pos

by_loops = tokens.clone()
for b in range(2):
    for n in range(197):
        by_loops[b, n] += table[n]  # row n goes to token n, whatever the image

# %% [markdown]
# The clear way is one plus sign. PyTorch uses the table for each image of the batch by itself (this is called
# *broadcasting*). The library's way wraps the table in a `Parameter`, so that training changes it.

# %%
by_plus = tokens + table  # [2, 197, 768] + [197, 768] -> [2, 197, 768]

position = PositionEmbedding(num_tokens=197, dim=768)  # holds pos_embed [1, 197, 768]
with torch.no_grad():
    position.pos_embed.copy_(table[None])
print("loops and plus agree:", torch.equal(by_loops, by_plus))
print("and so does the course's PositionEmbedding:", torch.equal(position(tokens), by_plus))
print("numbers to learn: 197 * 768 =", position.pos_embed.numel())

# %% [markdown]
# Why add, and not put the position beside the token, as more numbers? Adding keeps the token at D numbers, so nothing
# after it must change. Does it spoil what the token says? A claim for a second reading tests it.
#
# ### Positions made of waves
#
# Where do the rows come from? Most ViTs begin with small random numbers and let training change them. But positions
# need not be learned. The first Transformer used sine and cosine (*sinusoidal* positional encoding). Column pairs are
# waves, from fast to slow, like the hands of a clock.
#
# $$PE(pos, 2i) = \sin\!\left(\frac{pos}{10000^{2i/D}}\right) \qquad
# PE(pos, 2i+1) = \cos\!\left(\frac{pos}{10000^{2i/D}}\right)
# \qquad \text{(Vaswani et al. 2017, section 3.5)}$$
#
# Take D = 4 and four positions. i is 0 or 1. For i = 0 we divide by 10000⁰ = 1, for i = 1 by 10000^(2/4) = 100. So
# position 3 is [sin 3, cos 3, sin 0.03, cos 0.03]. A pocket calculator (in radians) gives 0.141, −0.990, 0.030, 1.000.

# %%
waves = torch.zeros(4, 4, dtype=torch.float64)  # [N=4 positions, D=4]
for pos in range(4):
    for i in range(2):
        angle = pos / 10_000 ** (2 * i / 4)
        waves[pos, 2 * i] = math.sin(angle)
        waves[pos, 2 * i + 1] = math.cos(angle)
print(waves)
print("the course's sincos_1d gives the same:", torch.allclose(sincos_1d(4, 4).double(), waves, atol=1e-6))

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 2, size=(10, 3.6), width_ratios=[1, 2])
columns = ["sin", "cos", "sin", "cos"]
shades = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1}
plots.draw_matrix(axes[0, 0], waves, "4 positions, D = 4", [f"pos {n}" for n in range(4)], columns, **shades)
plots.draw_matrix(axes[0, 1], sincos_1d(50, 96), "50 positions, D = 96", decimals=None, aspect="auto", **shades)
axes[0, 1].set_xlabel("column: fast waves left, slow waves right")
axes[0, 1].set_ylabel("position")
plots.show(
    figure,
    alt="Left, a table of 4 positions with their sines and cosines. Right, 50 positions as colours: quick waves on the left, slow ones on the right.",
    caption="Red is 1, white 0, blue −1. Read each column from top to bottom: that is one wave. The stripes on the right are sine and cosine columns by turns, which hardly change.",
)

# %% [markdown]
# No two rows are the same, so each position has its own name tag.
#
# ### Why waves?
#
# Take one pair of columns, sine and cosine, as the hand of a clock: at position p it shows p o'clock.
#
# * **A shift is a turn.** To go 3 positions on, turn the hand by 3 hours. It is the same turn from every position.
# * **The dot product knows the distance alone.** (Multiply two vectors number by number, and add up.) For two hands of
#   length 1 it is the cosine of the angle between them. At 2 and 5 o'clock the angle is 90°, and the cosine 0. At 7 and
#   10 o'clock too. At 2 and 3 o'clock it is 30°, and the cosine 0.87, wherever they stand.
#
# The other pairs are slower hands. After a full turn a fast hand shows the same again. The slower ones still tell the
# two positions apart. The slowest needs up to 2π · 10000 positions for a turn, far more than a picture has.


# %%
def turned(pair, angle):  # [..., 2]: (sin, cos) of a hand -> the hand, turned further
    s, c = pair.unbind(-1)
    return torch.stack([s * math.cos(angle) + c * math.sin(angle), c * math.cos(angle) - s * math.sin(angle)], dim=-1)


hours = torch.arange(12, dtype=torch.float64) * 2 * math.pi / 12  # the angle of each hour
clock = torch.stack([hours.sin(), hours.cos()], dim=-1)  # [12, 2]
later = clock.roll(-3, dims=0)
print("each hour turned by 3 hours is the hour 3 later:", torch.allclose(turned(clock, hours[3]), later))
pairs = {(a, b): round((clock[a] @ clock[b]).item(), 2) + 0.0 for a, b in ((2, 5), (7, 10), (2, 3), (10, 11))}
print("dot products of two hours:", pairs)

# %% jupyter={"source_hidden": true}
table = sincos_1d(50, 64).double()
slow = torch.stack([(hours / 12).sin(), (hours / 12).cos()], dim=-1)  # a hand that is 12 times as slow
print("the fast hand is back after 12 hours:", torch.allclose(turned(clock, 2 * math.pi), clock), end=", ")
print("the slow one too:", torch.allclose(turned(slow, 2 * math.pi / 12), slow))
print("different rows in the table:", len(table.unique(dim=0)), "of", len(table))
print("dot products of rows of the table, 3 apart:", [round((table[p] @ table[p + 3]).item(), 3) for p in (0, 10, 40)])

# %% [markdown] tags=["extra"]
# *Extra.* **RoPE**, rotary positions (Su et al. 2021), takes this at its word. It adds nothing to the tokens. Attention
# compares two tokens by a dot product of two vectors that are made of them (lesson 4). RoPE turns both vectors first,
# pair by pair, by the angle of their places. So the result depends on what they hold, and on how far apart they are and
# in which direction, and on nothing else. It is usual in language models, and some newer ViTs have it too: EVA-02
# (2023) and DINOv3 (2025). With one pair each:

# %% tags=["extra"]
one, other = torch.tensor([[1.0, 0.5], [0.3, 0.8]], dtype=torch.float64)
for a, b in ((2, 5), (7, 10), (5, 2), (2, 6)):
    dot = (turned(one, hours[a]) @ turned(other, hours[b])).item()
    print(f"places {a} and {b}, {b - a:+} apart: {dot:.3f}")

# %% [markdown]
# To compare two positions we use the **cosine similarity**: 1 if they point the same way, 0 if they have nothing in
# common, −1 if they are opposite.
#
# An image has two directions. In reading order, patch 27 ends one row of a 7×7 grid and patch 28 begins the next: side
# by side on the line, far apart in the picture. `sincos_2d` therefore uses half of the numbers for the column and half
# for the row. So the patches above and below are as near as those to the left and right:


# %%
def similarity(positions):  # [N, D] -> [N, N]
    return F.cosine_similarity(positions[:, None], positions[None], dim=-1)


for name, positions in (("sincos_1d", sincos_1d(49, 64)), ("sincos_2d", sincos_2d(7, 64))):
    to_24 = similarity(positions)[24]  # patch 24 is the one in the middle
    print(f"{name}: patch 24 and its right neighbour {to_24[25]:.2f}, the one below it {to_24[31]:.2f}")

# %% [markdown]
# ## In pictures you can touch
#
# Now four tables side by side, all for 7×7 patches and D = 64: the one that the course's own model *learned* on
# pictures of clothes, the same table *before training*, and the two made of waves. Each map compares the position under
# the frame with all others. Each map has its own scale of colours, so compare the numbers in the maps.
#
# 1. Move over the maps, or click and use the arrow keys. In which tables are neighbours alike? In which one is the
#    patch to the right much nearer than the patch below? Go to the left edge, position 21: does anything shine on the
#    far side of the *learned* map?

# %%
model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
shown = {"ankle boot": data.test_images[0], "pullover": data.test_images[1], "trousers": data.test_images[2]}
PositionLab(model, shown, order=1)

# %% [markdown]
# 2. Make the image larger. The tables are stretched like pictures. Does the pattern of the learned one stay? (Any
#    stretched table looks smooth, even the one before training.)
# 3. Show *one of the D numbers* in place of the similarity, and move "Which number". Waves look like waves. And the
#    learned numbers?
#
# Behind *More* (the key `m`), the patches of a real picture are shuffled. The weights of the class token's weighted
# mean in the last block tell where it "looks". One model has its positions. In the other, *without positions*, every
# patch gets the same vector, the mean of all positions. *Taken home* means: each weight put back where its patch came
# from.
#
# 4. Choose *in order*, then shuffle again. Without positions, what moves, and what stays? With positions?
#
# <details><summary>What there was to see</summary>
#
# 1. In the waves neighbours are very much alike, in the learned table somewhat. Before training, they are on average no
#    more alike than others. In *sin-cos 1-D* the patch to the right is much nearer (0.97 in the middle) than the patch
#    below (0.73). Position 21 of the learned map shines in the last column too, in its own row and in others. We come
#    back to it.
# 2. Yes: the same pattern, drawn smoother.
# 3. In *sin-cos 2-D* each number changes from column to column only, or from row to row only. The learned numbers look
#    irregular, with patches of similar values here and there.
# 4. Without positions the weights move with their patches. Taken home they are what they were, and the prediction
#    stays. With positions even the weights taken home differ, and the probabilities change. Often the answer changes
#    too.
#
# </details>

# %% [markdown]
# ## Claims, tested
#
# ### "Attention is permutation-invariant"
#
# We take a whole ViT without positions, of 4 blocks, in 64-bit numbers, and show it both cats. The class token stays in
# front; only patches are shuffled.

# %% tags=["claim-E1"]
torch.manual_seed(0)
size = {"image_size": 224, "patch_size": 32, "dim": 64, "depth": 4, "num_heads": 4, "num_classes": 10}
blind = ViT(ViTConfig(**size, position="none")).double().eval()
both = torch.stack([cat, dropped]).double() / 255  # [2, 3, 224, 224]
with torch.no_grad():
    stages = blind.forward_intermediates(both)

straight, shuffled = stages["norm"]  # [50, 64] each: the tokens after the last block and its norm


def differ(one, other):
    return (one - other).abs().max().item()


print(f"patch outputs are shuffled as the patches were: {differ(straight[1:][order], shuffled[1:]) < 1e-12}")
stays = {
    "one reads the class output": differ(straight[0], shuffled[0]) < 1e-12,
    "the mean of all outputs": differ(straight.mean(0), shuffled.mean(0)) < 1e-12,
    "the outputs of the patches": differ(straight[1:], shuffled[1:]) < 1e-12,
}
print(judge(stays, "shuffling changes nothing, to 12 decimals", holds="if"))

# %% [markdown]
# So attention itself is equivariant. Invariant is what is read off the class token, which was not shuffled, or off a
# mean.
#
# The head reads the class output. So for this model the cat and the heap of patches are one and the same picture. A
# second model has positions; nothing else is changed.

# %%
torch.manual_seed(0)
seeing = ViT(ViTConfig(**size, position="sincos")).double().eval()
with torch.no_grad():
    logits = {"without positions": blind(both), "with positions": seeing(both)}  # [2, 10] each
for name, (one, other) in logits.items():
    print(
        f"{name}: logits differ by less than 1e-12: {differ(one, other) < 1e-12}, more than 0.001: {differ(one, other) > 0.001}"
    )

# %% jupyter={"source_hidden": true}
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
# Does a *trained* model? Here is the course's own, with positions. We shuffle the 49 patches of each test picture, all
# in the same way.

# %%
images, labels = data.test_images[::8], data.test_labels[::8]  # 250 pictures


def accuracy(vit, x):
    with torch.no_grad():
        return (vit(x).argmax(dim=1) == labels).float().mean().item()


x = model.card.normalize(images)  # [250, 1, 28, 28]
for words, shown in {"as they are": x, "shuffled": shuffle_patches(x, 4, order)}.items():
    print(f"{words}: {with_error(accuracy(model, shown), len(x))} right")

# %% [markdown]
# It notices, and does badly: it trusts its positions, and now they mislead it. A model that was *trained* without
# positions does far better (a claim for a second reading has it), since a heap of patches also tells how much is dark
# or bright, and which textures there are.
#
# ### "Without positions the model must solve a jigsaw"
#
# Let us give it one. An image of 4×8 pixels has two patches: vertical stripes and horizontal stripes. Class 0 has the
# vertical ones on the left, class 1 on the right. Some noise is added, so that no two pictures are the same.

# %%
vertical = torch.tensor([1.0, -1.0, 1.0, -1.0]).expand(4, 4)
halves = torch.stack([torch.cat([vertical, vertical.T], 1), torch.cat([vertical.T, vertical], 1)])  # [2, 4, 8]


def jigsaws(number, seed):
    noise = torch.randn(number, 1, 4, 8, generator=torch.Generator().manual_seed(seed))
    y = torch.arange(number) % 2
    return halves[y][:, None] + 0.3 * noise, y  # [number, 1, 4, 8] and [number]


# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 4, size=(11, 1.4))
for ax, image, y in zip(axes[0], *jigsaws(4, seed=1), strict=True):
    plots.draw_image(ax, (image.clamp(-1, 1) + 1) / 2, f"class {y}")
plots.show(
    figure, alt="Four small pictures: vertical stripes left of horizontal ones for class 0, right of them for class 1."
)

# %% [markdown]
# We train a small ViT on it for 100 steps, without positions and with them, by the same loop as in lesson 2. For the
# test each picture comes twice, as it is and with its two patches swapped.


# %% jupyter={"source_hidden": true}
def learn_jigsaw(kind="learned", **parts):
    torch.manual_seed(0)
    shape = {"image_size": (4, 8), "patch_size": 4, "in_channels": 1, "num_classes": 2}
    vit = ViT(ViTConfig(**shape, dim=32, depth=2, num_heads=2, position=kind), **parts)
    optimizer = torch.optim.AdamW(vit.parameters(), lr=0.003)
    for step in range(100):
        x, y = jigsaws(64, seed=step)
        optimizer.zero_grad()
        F.cross_entropy(vit(x), y).backward()
        optimizer.step()
    return vit.double().eval()


test, _ = jigsaws(500, seed=1000)
swapped = torch.cat([test[..., 4:], test[..., :4]], dim=-1)  # the same patches, arranged the other way round
puzzles, answers = torch.cat([test, swapped]).double(), torch.cat([torch.arange(500) % 2, 1 - torch.arange(500) % 2])

# %%
for kind in ("none", "learned"):
    vit = learn_jigsaw(kind)
    with torch.no_grad():
        logits = vit(puzzles)  # [1000, 2]
    same = differ(logits[:500], logits[500:]) < 1e-12
    right = (logits.argmax(dim=1) == answers).float().mean().item()
    print(
        f"position={kind!r:<10} both arrangements get the same logits: {same!s:<6} right answers: {with_error(right, 1000)}"
    )

# %% [markdown]
# Exactly half: of each pair of arrangements the blind model gets one right and the other wrong, as it must. More
# training would not help it.
#
# Is this a trick of toy pictures? The same question was put to real ones, with several seeds: a picture of clothes is
# shown in one of four fixed arrangements of its 16 patches, and the model should say in which. This was run once, and
# written down:

# %% jupyter={"source_hidden": true}
study = load_study("jigsaw")
figure, axes = plots.new_figure(1, 1, size=(7, 1.8))
plots.draw_spread(axes[0, 0], study.accuracies(), xlabel="test accuracy, one point per seed; guessing gives 25%")
plots.show(figure, alt=f"A row of points for each of {', '.join(study.variants)}. Without positions all lie on 25%.")

# %% jupyter={"source_hidden": true}
print(f"remade by: {study.command}")
trained_on, epochs = study.settings["training_images"], study.settings["training"]["epochs"]
print(f"{trained_on:,} pictures, {epochs} epochs, seeds {study.seeds}")
for name, values in study.accuracies().items():
    print(f"{name:<12} {fmean(values):.1%} right ({min(values):.1%} to {max(values):.1%})")

# %% tags=["claim-E2"]
solved = any(value > 0.25 for value in study.accuracies()["none"])
print(judge(solved, "without positions a model is right more often than by guessing, with at least one of the seeds"))
none = study.scores("none")
pairs = {name: (study.scores(name), none) for name in study.variants if name != "none"}
print(compare_each(pairs, "positions help it to solve the jigsaw"))

# %% [markdown]
# So the claim says too little: without positions the model does not *have to* solve a jigsaw, it cannot. (Two
# comparisons are judged here together, and who looks often will be misled by chance more often. So the clearest of them
# gets the widest interval, the next one a narrower one, down to 95% for the last. It stops at the first that shows
# nothing: those after it stay as wide. This is *Holm's rule*.)

# %% [markdown]
# ### "Neighbouring positions get similar embeddings"
#
# The standard ViT learns its table as plain 1-D positions. We compare all 49 positions of the trained model with each
# other. The control is a model of the same shape before training.

# %% jupyter={"source_hidden": true}
trained = model.position.pos_embed[0, 1:].detach()  # [49, 64], without the class token's
torch.manual_seed(0)
untrained = ViT(model.config).position.pos_embed[0, 1:].detach()

row, column = torch.arange(49) // 7, torch.arange(49) % 7
steps = (row[:, None] - row).abs() + (column[:, None] - column).abs()  # [49, 49]: steps from patch to patch
near, far = steps == 1, steps >= 4
print("cosine similarity, mean over pairs")
for name, positions in (("trained", trained), ("untrained", untrained)):
    alike = similarity(positions)
    print(f"{name:<10} next to each other: {alike[near].mean():5.2f}   4 or more steps apart: {alike[far].mean():5.2f}")


# %% jupyter={"source_hidden": true}
def all_maps(positions):  # 49 little maps of 7x7, each at the place of its patch
    maps = similarity(positions).reshape(7, 7, 7, 7)
    framed = F.pad(maps, (0, 1, 0, 1), value=torch.nan)  # [7, 7, 8, 8]: a thin line between maps
    return rearrange(framed, "r c h w -> (r h) (c w)")


figure, axes = plots.new_figure(1, 2, size=(10, 5))
for ax, name, positions in ((axes[0, 0], "trained", trained), (axes[0, 1], "untrained", untrained)):
    plots.draw_matrix(ax, all_maps(positions), name, decimals=None, vmin=-1, vmax=1)
plots.show(
    figure,
    alt="Two grids of 49 small maps. Trained: each map is brightest at its own place, and mostly bright above and below it. Untrained: one bright cell in each map, the rest without pattern.",
    caption="Each small map compares one position with all 49, as in figure 7 (centre) of the paper. Yellow is 1, dark purple is −1.",
)

# %% tags=["claim-E4"]
alike = similarity(trained)
gap = [(similarity(p)[near].mean() - similarity(p)[far].mean()).item() for p in (trained, untrained)]
print(f"near minus far: {gap[0]:.2f} trained, {gap[1]:.2f} untrained")
nearer = {"the model is trained": gap[0] > 0.2, "it is not": gap[1] > 0.2}
print(judge(nearer, "neighbours are more alike, by more than 0.2 on average", holds="if"))

# %% [markdown]
# Nobody told the model that patches lie in a grid, and it found out something of it. But look closer: in the learned
# maps the bright spots are tall, not round. And some shine on the *other side* of the picture too. So it did not learn
# distances alone. Perhaps it learned what helps with *its* pictures: clothes hang upright, and are much the same left
# and right. Photographs taught the paper's models another pattern (figure 7, centre: a cross of row and column).

# %% [markdown] tags=["extra"]
# *Extra: what shines on the other side?* Let us take the mean over all pairs that lie the same number of rows and
# columns apart.

# %% tags=["extra"]
down, along = (row[:, None] - row).abs(), (column[:, None] - column).abs()  # [49, 49] each
by_offset = {
    name: torch.stack([similarity(p)[(down == r) & (along == c)].mean() for r in range(7) for c in range(7)])
    for name, p in (("trained", trained), ("untrained", untrained))
}
apart = [str(number) for number in range(7)]
figure, axes = plots.new_figure(1, 2, size=(9, 4))
for ax, (name, means) in zip(axes[0], by_offset.items(), strict=True):
    plots.draw_matrix(ax, means.reshape(7, 7), name, rows=apart, columns=apart, vmin=-1, vmax=1)
    ax.set(xlabel="columns apart", ylabel="rows apart")
plots.show(
    figure,
    alt="Two tables of mean similarities by distance. Trained: high for the same column, also one row apart, and high again 6 columns apart. Untrained: about 0 everywhere but at distance 0.",
)

# %% tags=["extra"]
above, beside = alike[(down == 1) & (along == 0)].mean(), alike[(down == 0) & (along == 1)].mean()
mirrored = (row[:, None] == row) & (column[:, None] + column == 6) & ((along == 2) | (along == 4))  # left for right
others = (row[:, None] == row) & (column[:, None] + column != 6) & ((along == 2) | (along == 4))
print(f"one above the other: {above:.2f}, side by side: {beside:.2f}")
print(
    f"mirrored, left for right: {alike[mirrored].mean():.2f}, as far apart but not mirrored: {alike[others].mean():.2f}"
)

# %% [markdown] tags=["extra"]
# Is it the mirror, though? Take the pairs of mirrored columns one by one. If left and right were matched place by
# place, only the place in the *same row* should be alike.

# %% tags=["extra"]
for left in range(3):
    right = 6 - left
    pairs = (column[:, None] == left) & (column == right)
    same_row, other_row = alike[pairs & (down == 0)].mean(), alike[pairs & (down > 0)].mean()
    print(f"columns {left} and {right}: same row {same_row:.2f}, other rows {other_row:.2f}")
black = (patchify(data.train_images, 4) == 0).all(dim=-1).float().mean(dim=0)  # [49]: how often each patch is black
for side in (0, 3, 6):
    print(f"column {side}: {black[column == side].mean():.0%} of the patches are all black")

# %% [markdown] tags=["extra"]
# Columns 0 and 6 are alike in all rows, even in opposite corners. Perhaps that is because most of their patches are
# black. Only in the inner columns is the mirrored place in the same row special.

# %% [markdown]
# ### "A ViT takes any resolution, because the sequence may be any length"
#
# The course's model was trained on 28×28 pixels with P = 4. We enlarge the test pictures to 56×56. That makes
# 14·14 = 196 patches in place of 49.

# %%
large = F.interpolate(x, size=56, mode="bilinear")  # [250, 1, 56, 56]
bigger = ViT(replace(model.config, image_size=56)).eval()  # the same model, built for 56x56 pixels
tokens = model.class_token(bigger.patch_embed(large[:2]))  # [2, 197, 64]: 196 patches and the class token
print("tokens:", list(tokens.shape), "- the blocks take them, and return", list(model.blocks(tokens).shape))
try:
    model.position(tokens)
except ValueError as error:
    print(error)

# %% [markdown]
# So the sentence is right about the blocks: they do not mind 197 tokens, and every weight in them fits. But there are
# only 50 rows of positions.
#
# The way out, with a pencil first. Two positions hold the numbers 0 and 8. We want four in the same space. The old ones
# sit at ¼ and ¾ of the way, the new ones at ⅛, ⅜, ⅝ and ⅞. The second new one lies a quarter of the way from the first
# old one to the second: 0 + ¼ · 8 = 2. The third is 6. The two at the ends lie outside, and take the nearest: 0 and 8.

# %%
line = torch.tensor([0.0, 8.0])[None, None]  # [1, 1, 2]
print(F.interpolate(line, size=4, mode="linear", align_corners=False).flatten().int().tolist())

# %% [markdown]
# On a grid it is the same in both directions. 49 positions are a picture of 7×7 pixels with D channels, and pictures
# can be enlarged. This is the paper's way too (section 3.2). The position of the class token has no place in the grid
# and stays as it is. *Bicubic* interpolation, which is usual here, draws a smooth curve through four points in place of
# a straight line through two.

# %%
weights = {name: value.clone() for name, value in model.state_dict().items()}
weights["pos_embed"] = interpolate_positions(weights["pos_embed"], old_grid=7, new_grid=14)
print(list(model.state_dict()["pos_embed"].shape), "->", list(weights["pos_embed"].shape))

# %% jupyter={"source_hidden": true}
channel = trained.std(dim=0).argmax()  # the liveliest of the 64 numbers
figure, axes = plots.new_figure(1, 2, size=(7, 3.5))
plots.draw_matrix(axes[0, 0], trained[:, channel].reshape(7, 7), "one number of 7x7 positions", decimals=None)
grid = weights["pos_embed"][0, 1:, channel].reshape(14, 14)
plots.draw_matrix(axes[0, 1], grid, "the same, interpolated to 14x14", decimals=None)
plots.show(figure, alt="A 7 by 7 grid of colours, and the same pattern drawn finer on a 14 by 14 grid.")

# %% [markdown] tags=["extra"]
# *Extra.* torchvision has a function for this. It draws the finer grid by a slightly different rule (its corners stay
# fixed); with the same rule we get its numbers.

# %% tags=["extra"]
from torchvision.models.vision_transformer import interpolate_embeddings

rule = {"mode": "bicubic", "align_corners": True, "antialias": False}
ours = interpolate_positions(model.position.pos_embed.detach(), 7, 14, **rule)
state = {"encoder.pos_embedding": model.position.pos_embed.detach().clone()}
theirs = interpolate_embeddings(image_size=56, patch_size=4, model_state=state)["encoder.pos_embedding"]
print(f"torchvision: {list(theirs.shape)}, largest difference below 0.00001: {differ(ours, theirs) < 1e-5}")

# %% [markdown]
# Does the model still recognise the pictures? As a control, the same positions in the wrong places. (`load_weights`
# stretches positions that do not fit by itself, as you just did.)

# %%
load_weights(bigger, model.state_dict())
print("load_weights stretched them as we did:", torch.equal(bigger.position.pos_embed, weights["pos_embed"]))
kept = accuracy(bigger, large)

mixed = weights["pos_embed"].clone()
mixed[:, 1:] = mixed[:, 1 + torch.randperm(196, generator=torch.Generator().manual_seed(0))]
load_weights(bigger, weights | {"pos_embed": mixed})
misplaced = accuracy(bigger, large)
print(f"28x28: {with_error(accuracy(model, x), len(x))} right")
print(f"56x56, positions interpolated: {with_error(kept, len(x))} right")
print(f"56x56, the same positions in the wrong places: {with_error(misplaced, len(x))} right")


# %% tags=["claim-E5"]
def in_groups(pos_embed):  # -> accuracies of ten groups of 25 pictures
    load_weights(bigger, weights | {"pos_embed": pos_embed})
    with torch.no_grad():
        right = bigger(large).argmax(dim=1) == labels  # [250]
    return right.view(10, 25).double().mean(dim=1).tolist()


takes = {
    "its positions are interpolated": (in_groups(weights["pos_embed"]), [0.5] * 10),
    "they are in the wrong places": (in_groups(mixed), [0.5] * 10),
}
claim = "it gets more than half of the larger pictures right, without more training"
print(compare_each(takes, claim, holds="if", unit="points", of="groups of pictures"))

# %% [markdown]
# Most of it is kept, with a loss. One likely reason: a patch of 4×4 pixels now shows a quarter of what it showed
# before, and the model has never seen things so close. So one goes on training for a little while at the new size; this
# is called *fine-tuning* (lesson 10).

# %% [markdown] tags=["extra"]
# *Extra.* Here are 10 steps of it with 50 training pictures each. For comparison, the same 10 steps with new random
# positions.


# %% tags=["extra"]
def fine_tune(pos_embed):
    load_weights(bigger, weights | {"pos_embed": pos_embed})
    optimizer = torch.optim.AdamW(bigger.parameters(), lr=0.0005)
    chosen = torch.randperm(10_000, generator=torch.Generator().manual_seed(0))[:500]
    for batch in chosen.split(50):
        pixels = F.interpolate(model.card.normalize(data.train_images[batch]), size=56, mode="bilinear")
        optimizer.zero_grad()
        F.cross_entropy(bigger(pixels), data.train_labels[batch]).backward()
        optimizer.step()
    return accuracy(bigger, large)


tuned = fine_tune(weights["pos_embed"])
print("from interpolated positions, better than before fine-tuning:", tuned > kept)
fresh = torch.cat([weights["pos_embed"][:, :1], torch.randn(1, 196, 64) * 0.02], dim=1)
print("from random positions, more than 10 points behind:", tuned - fine_tune(fresh) > 0.10)

# %% [markdown]
# ## More claims, for a second reading
#
# On a first reading go on to the exercises. These take 5 minutes, and nothing later needs them.
#
# ### "Adding mixes up what a patch shows and where it is: the position should stand beside it"
#
# Suppose it stood beside the token, as D more numbers. One matrix W with 2·D rows must bring that back to D. Cut W in
# two: its upper half W_1 meets the token t, the lower half W_2 the position p.
#
# $$[\,t,\; p\,]\,W = t\,W_1 + p\,W_2$$
#
# So that is an addition too, and with learned positions p·W_2 is just another table. Is the sum mixed up beyond
# repair? We ask the trained model. One linear layer is to read the place off its tokens, another the 16 pixels. They
# are fitted on 250 pictures (by least squares: the smallest sum of squared errors), and judged on 250 others. The
# control: tokens without positions.

# %%
t, p, W = (torch.randn(*shape, dtype=torch.float64) for shape in ((49, 64), (49, 64), (128, 64)))
print("beside is adding, too:", torch.allclose(torch.cat([t, p], dim=1) @ W, t @ W[:64] + p @ W[64:]))

# %% jupyter={"source_hidden": true}
seen = model.card.normalize(data.test_images[:500])
with torch.no_grad():
    stages = model.forward_intermediates(seen)
pixels = patchify(seen, 4).double()  # [500, 49, 16]
place = torch.eye(49, dtype=torch.float64).expand(500, 49, 49)  # [500, 49, 49]: 1 at the number of the patch


def read_off(tokens, wanted):  # fit a linear layer on the first 250 pictures, and use it on the others
    tokens = F.pad(tokens.double(), (0, 1), value=1.0)  # the 1 at the end gives the layer its bias
    layer = torch.linalg.lstsq(tokens[:250].flatten(0, 1), wanted[:250].flatten(0, 1)).solution
    return tokens[250:] @ layer


good = {}
for name, tokens in (("the sum", stages["position"][:, 1:]), ("the patches alone", stages["patch_embed"])):
    places = (read_off(tokens, place).argmax(dim=-1) == torch.arange(49)).double().mean().item()
    left_over = (read_off(tokens, pixels) - pixels[250:]).square().mean() / pixels[250:].var()
    print(f"from {name}: place right {places:.0%}, pixels explained {1 - left_over.item():.0%}")
    good[name] = places > 0.9 and left_over < 0.1

# %% tags=["claim-add"]
print(judge(good["the sum"], "both the place and the pixels can be read off the sum, nine tenths of each"))

# %% [markdown]
# Nothing is lost here: 16 pixels and the 48 directions in which 49 places differ from their mean find room in 64
# numbers, side by side. (In ViT-B/16 the 768 numbers of a patch and 196 places share 768 numbers. There it may be
# otherwise.)

# %% [markdown]
# ### "1-D learned positions are as good as 2-D ones"
#
# A heap of patches tells a lot about a photograph, so positions matter less there than in a jigsaw. How much, and which
# kind is best? The paper tried (appendix D.4, table 8). The course tried too, on clothes: five kinds, several seeds
# each. *learned 2-D* has a table of rows and a table of columns, of D/2 numbers each. (The paper's *relative* positions
# are not added to tokens: they change the weights of attention by how far apart two patches are.)

# %% jupyter={"source_hidden": true}
study = load_study("positions")
ours, paper = study.accuracies(), study.paper["accuracy"]
means = {name: fmean(values) for name, values in ours.items()}
figure, axes = plots.new_figure(1, 2, size=(11, 3))
plots.draw_spread(axes[0, 0], ours, xlabel="ours: test accuracy on clothes, one point per seed")
plots.draw_spread(
    axes[0, 1], {name: [value] for name, value in paper.items()}, xlabel="the paper: ImageNet, 5 pictures a class"
)
plots.show(
    figure,
    alt=f"Left, our accuracies for five kinds of positions, a point for each seed; lowest is {min(means, key=means.get)}. "
    f"Right, the paper's for four kinds; lowest is {min(paper, key=paper.get)}.",
    caption=f"Right: {study.paper['source']}; {study.paper['what']}. One number each, no seeds.",
)

# %% jupyter={"source_hidden": true}
print(f"remade by: {study.command}")
epochs, patch_size = study.settings["training"]["epochs"], study.settings["model"]["patch_size"]
print(
    f"{study.data['training']:,} pictures, {epochs} epochs, patches of {patch_size}x{patch_size}, seeds {study.seeds}"
)
before = load_study("patch_size").settings["training"]["epochs"]
print(f"lesson 1's study had {before} epochs, hence its higher figures")
for name, values in ours.items():
    told = f"{paper[name]:.1%}" if name in paper else "-"
    print(f"{name:<12} ours {means[name]:.1%} ({min(values):.1%} to {max(values):.1%})   the paper {told}")

# %%
none = study.scores("none")
print(
    compare_each(
        {name: (study.scores(name), none) for name in ours if name != "none"}, "each kind of positions beats none"
    )
)

# %% [markdown]
# And 1-D against 2-D? "As good as" needs a margin, since no two things are *exactly* as good. We allow 1-D to be one
# point worse. Each kind has the learning rate that suits it best, by the rule of lesson 2. Here is how they were
# chosen, right answers on validation pictures with one seed more:

# %% tags=["claim-E3"]
one, two = study.scores("learned 1-D"), study.scores("learned 2-D")
for scores in (one, two):
    by_rate = ", ".join(f"{right[0]:.1%} at {rate:g}" for rate, right in study.tried(scores.name).items())
    print(f"{scores.name}: {by_rate}; chosen: {scores.rate.value:g}")
print(compare(one, two, "1-D is as good as 2-D, or less than a point worse", at_least=-0.01))

# %% [markdown]
# Had both been trained at 0.003 alone, 1-D would look far ahead. At 0.01 they are level. At its own rate each, our
# limit of one point lies inside the interval. The paper's figures are close too. So *as good* may well be true, and it
# is not shown here.

# %% [markdown] tags=["extra"]
# ### "Attention knows no order because it works in parallel, unlike an RNN"
#
# *Extra.* An RNN, a recurrent network, reads one token after the other. Attention works on all tokens at once, *in
# parallel*. But a convolution does so too, and attention can be run one token after the other. We try attention in
# both ways, and a convolution. Which is blind to order, that is, equivariant?

# %% tags=["extra", "claim-E6"]
torch.manual_seed(0)
z, shuffle = torch.randn(1, 8, 16, dtype=torch.float64), torch.tensor([3, 0, 7, 1, 6, 2, 5, 4])
convolve = nn.Conv1d(16, 16, kernel_size=3, padding=1).double()
layers = {  # each [1, 8, 16] -> [1, 8, 16]; attention is told who asks, who is asked, and what is taken (lesson 4)
    "attention, all tokens at once": lambda z: scaled_dot_product_attention(z, z, z)[0],
    "attention, one after the other": lambda z: torch.cat(
        [scaled_dot_product_attention(z[:, i : i + 1], z, z)[0] for i in range(8)], dim=1
    ),
    "convolution, all tokens at once": lambda z: convolve(z.transpose(1, 2)).transpose(1, 2),
}
unordered = {name: differ(layer(z[:, shuffle]), layer(z)[:, shuffle]) < 1e-12 for name, layer in layers.items()}
for name, is_blind in unordered.items():
    print(f"{name:<32} {'blind to order' if is_blind else 'notices the order'}")
at_once = {name: name.endswith("at once") for name in layers}
print(judge(unordered == at_once, "a layer is blind to order if it works on all tokens at once, and only then"))

# %% [markdown] tags=["extra"]
# The reason is another one. Attention weighs tokens by what they say, wherever they stand (lesson 4). A convolution has
# a weight of its own for each place in its window.
#
# ### "Positions are the numbers 0, 1, 2, 3 … added to the tokens"
#
# *Extra.* Take the untrained model without positions from the first claim, and add n to all numbers of token n. For
# comparison, add the waves.

# %% tags=["extra", "claim-E7"]
with torch.no_grad():
    tokens = blind.forward_intermediates(both)["class_token"]  # [2, 50, 64]
    added = {"the plain numbers": torch.arange(50.0)[:, None], "waves": seeing.position.pos_embed}  # 0: class token
    moved = {name: blind.classify(blind.norm(blind.blocks(tokens + place))) for name, place in added.items()}
    changes = {name: differ(logits, blind(both)) > 1e-9 for name, logits in moved.items()}
print("logits change with", ", with ".join(f"{name}: {changed}" for name, changed in changes.items()))
print(judge(changes["the plain numbers"], "the numbers 0, 1, 2, 3 … added to the tokens change the logits of a ViT"))

# %% [markdown] tags=["extra"]
# The plain numbers change nothing. Whatever attention, the MLP or the head reads has gone through a LayerNorm (lesson
# 6), which subtracts the mean of a token, and with it n. A position must not be the same in all numbers of a token. The
# waves differ from number to number.

# %% [markdown]
# ## Exercise: how many numbers?
#
# Difficulty 1 of 5, about 3 minutes. Importance 2 of 3. How many numbers does a ViT learn for its positions? Square
# images, a class token, tokens of `dim` numbers.
#
# <details><summary>Hint 1</summary>
#
# Equation 1 gives the shape of E_pos: $(N+1) \times D$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# N is the number of patches, as in lesson 1: as many rows of patches as there are patches in a row.
#
# </details>


# %% tags=["exercise"]
def my_position_parameters(image_size, patch_size, dim): ...  # return one whole number


check.position_parameters(my_position_parameters)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_position_parameters(image_size, patch_size, dim):
    num_patches = (image_size // patch_size) ** 2
    return (num_patches + 1) * dim


check.position_parameters(my_position_parameters)

# %% [markdown]
# ## Exercise: a test for blindness
#
# Difficulty 2 of 5, about 8 minutes. Importance 2 of 3. Write the test of equivariance as a function. `layer` turns
# tokens [B, N, D] into tokens [B, N, D], `order` holds the numbers 0 to N−1 in some order. Return True if the layer is
# equivariant for this order, False if not. Some layers add up many numbers, so ask for "equal up to rounding".
#
# <details><summary>Hint 1</summary>
#
# `tokens[:, order]` shuffles the tokens of every image. The definition has two sides: shuffle and then apply the layer,
# or apply the layer and then shuffle.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.allclose(one, other, atol=1e-5)` says whether two tensors are equal up to rounding.
#
# </details>


# %% tags=["exercise"]
def my_is_equivariant(layer, tokens, order): ...  # return True or False


check.is_equivariant(my_is_equivariant)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_is_equivariant(layer, tokens, order):
    shuffled_before = layer(tokens[:, order])
    shuffled_after = layer(tokens)[:, order]
    return torch.allclose(shuffled_before, shuffled_after, atol=1e-5)


check.is_equivariant(my_is_equivariant)

# %% [markdown]
# ## Exercise: your own positions, in a real ViT
#
# Difficulty 2 of 5, about 8 minutes. Importance 3 of 3. Write the class that adds learned positions. It is built as
# `MyPositionEmbedding(num_tokens, dim)`; `num_tokens` counts the class token already. Its `forward` gets tokens
# [B, num_tokens, D] and returns as many, without changing those it was given.
#
# <details><summary>Hint 1</summary>
#
# Which tensor do all images share? Give it a row for each token, and let training know of it: `nn.Parameter(...)`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Small random numbers are a good beginning: `torch.randn(...) * 0.02`. Which shape? An axis of length 1 can stand for
# the batch: PyTorch uses it for every image.
#
# </details>


# %% tags=["exercise"]
class MyPositionEmbedding(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        ...  # the table

    def forward(self, tokens): ...  # [B, N+1, D] -> [B, N+1, D]


check.position_embedding(MyPositionEmbedding)

# %% [markdown]
# Now `ViT` takes your class in place of its own, and learns the jigsaw with it.

# %%
if check.position_embedding(MyPositionEmbedding).passed:
    vit = learn_jigsaw(position=MyPositionEmbedding)
    with torch.no_grad():
        right = (vit(puzzles).argmax(dim=1) == answers).float().mean().item()
    print(f"a ViT with your positions: {right:.0%} of the jigsaws right; without positions it was 50%")
else:
    print("MyPositionEmbedding does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
class MyPositionEmbedding(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.randn(1, num_tokens, dim) * 0.02)

    def forward(self, tokens):
        return tokens + self.pos_embed


check.position_embedding(MyPositionEmbedding)

# %% [markdown]
# ## Exercise: waves on a line
#
# Difficulty 3 of 5, about 10 minutes. Importance 2 of 3. Write `sincos_1d`: return a tensor [num_positions, dim]; dim
# is even. The lesson filled the table with two loops. Try it without: the check takes both, and one line of
# broadcasting is worth knowing.
#
# <details><summary>Hint 1</summary>
#
# Make all angles at once, [N, D/2]: a column of positions, [N, 1], divided by a row of powers, [D/2]. `torch.arange`
# makes both, `[:, None]` turns a row into a column. A sine and the cosine to its right have the same angle.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Start from `torch.zeros(num_positions, dim)`. `table[:, 0::2]` is every second column from 0 on; it takes the sines.
# Which columns take the cosines? Positions and i are both counted from 0.
#
# </details>


# %% tags=["exercise"]
def my_sincos_1d(num_positions, dim): ...  # return a table [num_positions, dim]


check.sincos_1d(my_sincos_1d)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_sincos_1d(num_positions, dim):
    pos = torch.arange(num_positions, dtype=torch.float64)[:, None]  # [N, 1]
    i = torch.arange(dim // 2, dtype=torch.float64)  # [D/2]
    angle = pos / 10_000 ** (2 * i / dim)  # [N, D/2]
    table = torch.zeros(num_positions, dim)
    table[:, 0::2] = angle.sin()  # columns 0, 2, 4 ...
    table[:, 1::2] = angle.cos()  # columns 1, 3, 5 ...
    return table


check.sincos_1d(my_sincos_1d)

# %% [markdown]
# ## Exercise: waves on a grid (an extra)
#
# Difficulty 3 of 5, about 10 minutes. Importance 1 of 3. Write `sincos_2d` as Beyer et al. 2022 have it. A patch in
# column x and row y (both from 0) gets D numbers in four blocks of D/4:
#
# $$[\,\sin(x\,\omega_i),\; \cos(x\,\omega_i),\; \sin(y\,\omega_i),\; \cos(y\,\omega_i)\,]
# \qquad \omega_i = 10000^{-i/(D/4-1)} \qquad i = 0, \ldots, D/4-1$$
#
# Return a tensor [rows · columns, dim] in reading order; dim is a multiple of 4, at least 8. Check your order of the
# grid: the second row of the table belongs to column 1 of row 0.
#
# <details><summary>Hint 1</summary>
#
# Patch n lies in column `n % columns` and row `n // columns`. So `torch.arange(rows * columns)` gives you x and y for
# all patches at once.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `x[:, None] * omega` is [N, D/4]: the angles of all patches. Make the same of y, take sine and cosine of both, and put
# the four side by side with `torch.cat(..., dim=1)`.
#
# </details>


# %% tags=["exercise"]
def my_sincos_2d(rows, columns, dim): ...  # return a table [rows * columns, dim]


check.sincos_2d(my_sincos_2d)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_sincos_2d(rows, columns, dim):
    n = torch.arange(rows * columns)
    x, y = n % columns, n // columns  # [N] each
    omega = 10_000 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4 - 1))  # [D/4]
    along, down = x[:, None] * omega, y[:, None] * omega  # [N, D/4] each
    return torch.cat([along.sin(), along.cos(), down.sin(), down.cos()], dim=1).float()


check.sincos_2d(my_sincos_2d)

# %% [markdown]
# ## Exercise: move to another image size
#
# Difficulty 4 of 5, about 12 minutes. Importance 2 of 3. Write the interpolation of positions for square grids:
# `pos_embed` is [1, 1 + old·old, D] with the class token's row in front, and [1, 1 + new·new, D] should come back. For
# the stretching itself use `F.interpolate(grid, size=(new, new), mode="bicubic", antialias=True)`, which wants a
# picture [1, D, old, old].
#
# <details><summary>Hint 1</summary>
#
# Five steps: take the first row off, make a picture of the others, stretch it, make rows of it again, put the first row
# back in front.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A reshape can split an axis, or join axes that lie side by side: [1, N, D] becomes [1, old, old, D]. It cannot swap
# axes. So `permute(0, 3, 1, 2)` moves D in front. On the way back, first `permute(0, 2, 3, 1)`, then reshape. Or let
# `rearrange` do both: `"one (h w) d -> one d h w"`.
#
# </details>


# %% tags=["exercise"]
def my_interpolate_positions(pos_embed, old, new): ...  # [1, 1 + old*old, D] -> [1, 1 + new*new, D]


check.interpolate_positions(my_interpolate_positions)

# %% [markdown]
# When it passes, move the trained model to 40×40 pixels with it, a grid of 10×10.

# %%
if check.interpolate_positions(my_interpolate_positions).passed:
    middle = F.interpolate(x, size=40, mode="bilinear")  # [250, 1, 40, 40]
    vit = ViT(replace(model.config, image_size=40)).eval()
    load_weights(vit, weights | {"pos_embed": my_interpolate_positions(model.state_dict()["pos_embed"], 7, 10)})
    print(f"40x40, with your positions: {accuracy(vit, middle):.0%} right")
else:
    print("my_interpolate_positions does not pass its check yet. Finish it above, and come back to this cell.")

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_interpolate_positions(pos_embed, old, new):
    class_row, patch_rows = pos_embed[:, :1], pos_embed[:, 1:]  # [1, 1, D] and [1, old*old, D]
    grid = rearrange(patch_rows, "one (h w) d -> one d h w", h=old)  # [1, D, old, old]
    grid = F.interpolate(grid, size=(new, new), mode="bicubic", antialias=True)  # [1, D, new, new]
    return torch.cat([class_row, rearrange(grid, "one d h w -> one (h w) d")], dim=1)


check.interpolate_positions(my_interpolate_positions)

# %% [markdown]
# ## What to remember
#
# 1. Without positions a ViT is equivariant: shuffled patches in, shuffled outputs out. Its class output is invariant.
# 2. So it cannot tell a cat from a heap of its patches, and no training helps.
# 3. The cure is to add one vector for each place, the same for every image.
# 4. The table may be learned, or made of sine and cosine waves, for which a shift is a turn. In a learned one
#    neighbours come out more alike, though nobody told it of the grid.
# 5. For another image size, interpolate the table like a picture, then fine-tune.
#
# | step | shape | ViT-B/16 |
# |---|---|---|
# | tokens with the class token | [B, N+1, D] | [B, 197, 768] |
# | E_pos | [1, N+1, D] | [1, 197, 768] |
# | sum | [B, N+1, D] | [B, 197, 768] |
# | E_pos as a picture, without the class token | [1, D, H/P, W/P] | [1, 768, 14, 14] |
# | interpolated for 384×384 pixels | [1, 1+N', D] | [1, 577, 768] |
#
# **Five questions.** Three on this lesson, and two that mix in earlier ones.
#
# <details><summary>A ViT without positions and with mean pooling: is its answer equivariant or invariant?</summary>
# Invariant. Its patch outputs are shuffled with the patches, and a mean does not ask for the order.</details>
# <details><summary>A model without positions only ever sees pictures in the right order. Does that help it?</summary>
# No. It cannot tell whether the patches are in order: it gives the same logits either way.</details>
# <details><summary>A model with learned positions for 14×14 patches meets an image of 14×20 patches. Two things must be
# done to its table. Which?</summary>Take the class token's row off and put it back afterwards; and stretch the grid of
# 14×14 rows to 14×20, as a picture. The blocks need no change.</details>
# <details><summary>A 96×96 image with 3 channels, P = 8, D = 192. How many numbers has a patch, how many a token, and how many
# tokens get a position if there is a class token (lessons 1 and 2)?</summary>A patch has 8 · 8 · 3 = 192 numbers. A token has
# D = 192: equal by chance. There are 12 · 12 + 1 = 145 tokens, and each gets a position.</details>
# <details><summary>Before the first block, what does the class token know of the picture: with positions, and without
# (lesson 2)?</summary>Nothing, in both cases. It is one learned vector, and its position is another. Only the blocks bring it
# something.</details>
#
# **Next**: the tokens know what they show and where they are. Lesson 4 opens the block, and shows how they look at each
# other.
#
# **Read on**: Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words*, sections 3.1 and 3.2, figure 7 and appendix D.4
# · Vaswani et al. 2017, *Attention Is All You Need*, section 3.5 · Su et al. 2021, *RoFormer: Enhanced Transformer with
# Rotary Position Embedding* · Heo et al. 2024, *Rotary Position Embedding for Vision Transformer* · Beyer et al. 2022,
# *Better plain ViT baselines for ImageNet-1k*, for 2-D sine and cosine · the code of this lesson:
# `vit_tutorial/positions.py`.
