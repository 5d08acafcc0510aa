# %% [markdown]
# # 8 · Looking inside: what the pictures show, and what they do not
#
# **The question.** A trained ViT says *sneaker*. You can draw where it looked, and the drawing is beautiful. *Does it
# show why the model said so?* Many texts end with such a drawing. This lesson begins with one, and tests it.

# %%
import math
from dataclasses import replace

import torch
from torch.nn import functional as F

from vit_tutorial import ViT, attention_distance, attention_maps, load_model, plots
from vit_tutorial.datasets import DATA_FOLDER, load, pictures
from vit_tutorial.evidence import against_shuffles, compare_each, with_error
from vit_tutorial.exercises import check
from vit_tutorial.explore import LensLab, TrainingTimeline
from vit_tutorial.introspection import deletion_curve, logit_lens, occlusion
from vit_tutorial.introspection import patch_norms, patch_tokens, token_stages
from vit_tutorial.studies import inside, load_study

torch.set_num_threads(1)  # one thread: the same numbers each time

# The model of lesson 7: 6 blocks, 4 heads, 49 patches of 4x4 pixels.
model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
images, labels = model.card.normalize(data.test_images[:300]), data.test_labels[:300]  # [300, 1, 28, 28], [300]
names = model.card.class_names

# %% jupyter={"source_hidden": true}
shoe = images[45:46]  # [1, 1, 28, 28]
pixels = data.test_images[45]
last = attention_maps(model, shoe)[-1].mean(dim=1)[0, 0, 1:]  # [49]: the class token's row, mean of the heads
lost = occlusion(model, shoe)[0]  # [49]: what the answer loses when a patch is covered
with torch.no_grad():
    before = model(shoe).softmax(dim=-1).max().item()
figure, axes = plots.new_figure(1, 3, size=(9, 3))
plots.draw_image(axes[0, 0], pixels, f"the picture: sneaker {before:.0%}")
plots.draw_attention(axes[0, 1], pixels, last.reshape(7, 7), "where it looked")
plots.draw_attention(axes[0, 2], pixels, lost.clamp(min=0).reshape(7, 7), "what it needed")
plots.show(
    figure,
    alt="A sneaker, and two maps of its 49 patches as bright and dark squares. In the middle the brightest is at the upper edge of the picture, where it is empty. On the right one is far brighter than all others, at the top of the shoe. In the middle that one is dark.",
    caption="Middle: attention of the class token in the last block, mean of its heads. Right: how much probability 'sneaker' "
    f"loses when a patch is covered with grey. The brightest costs {100 * lost.max():.0f} points, and gets {last[lost.argmax()]:.1%} of the attention.",
)

# %% [markdown]
# Which of the two maps tells why the model said *sneaker*? We chose this picture because it shows the difference well,
# so it proves nothing yet. We need questions whose answers can come out wrong, many pictures, and something to compare
# with.
#
# **What you will do**
#
# 1. Read the answer off after each block, and see *when* the model knows.
# 2. Exchange tokens between two pictures, and see *where* the knowledge sits.
# 3. Cover the patches that a method calls important, and see whether the answer *needs* them.
# 4. Measure how far heads look and what positions learned, in a trained model and in one that never learned.
# 5. Say of each picture what it does not prove.
#
# **Time**: 40 minutes, and 60 for the exercises; one of them is an extra. **You need**: lessons 2 to 7.

# %% [markdown]
# ## By hand
#
# A tiny model: tokens of two numbers, two classes, two blocks. It has no last norm, and its head is
# $W_\text{head}$ with the rows (1, 0) for *shoe* and (1, 2) for *bag*. Here is the class token of one picture, at three
# moments. A logit is the dot product of the token with the row of a class:
#
# | after | class token | shoe: 1·first | bag: 1·first + 2·second | answer |
# |---|---|---|---|---|
# | 0 blocks | (0, 0) | 0 | 0 | ? |
# | 1 block | (1, 1) | 1 | 3 | ? |
# | 2 blocks | (4, −1) | 4 | 2 | ? |
#
# Take a pencil and write the three answers. What did block 2 add to the token?

# %%
token = torch.tensor([[0.0, 0.0], [1.0, 1.0], [4.0, -1.0]])  # [moments=3, D=2]
head = torch.tensor([[1.0, 0.0], [1.0, 2.0]])  # [K=2, D=2]
for blocks, (shoe, bag) in enumerate((token @ head.T).softmax(dim=-1)):
    print(f"after {blocks} blocks: shoe {shoe:.0%}, bag {bag:.0%}")
print("block 2 added", (token[2] - token[1]).tolist())

# %% [markdown]
# Reading a token with the head before it is finished is called the **logit lens** (nostalgebraist 2020). (From here on K
# is the number of classes.)
#
# The second tool for a pencil is **covering**. A picture has three patches. The model's probability of *shoe* is 0.9.
# Cover one patch, and it becomes what the second line says:
#
# | patch | 0 | 1 | 2 |
# |---|---|---|---|
# | probability when it is covered | 0.8 | 0.3 | 0.9 |
# | attention of the class token | 0.2 | 0.3 | 0.5 |
#
# Attention says that patch 2 matters most. Cover it, and nothing happens. Covering says that patch 1 matters most.
# *Nothing happens* is a fact about the answer. *Attention is 0.5* is a fact about one step inside the model.

# %% [markdown]
# ## When does it know?
#
# The lens for a whole ViT is one line. The model's own last norm and head are applied to every token after every block,
# instead of only to the class token after the last one:
#
# $$\text{lens}_k = \text{head}(\text{LN}(z_k)), \qquad k = 0, \dots, L$$

# %%
with torch.no_grad():
    x = model.position(model.class_token(model.patch_embed(images)))  # [B, 50, D]: after 0 blocks
    by_loop = [model.head(model.norm(x))]  # [B, 50, 10]
    for block in model.blocks:
        x = block(x)
        by_loop.append(model.head(model.norm(x)))

lens = logit_lens(model, images)  # [7, B, 50, 10]: after 0 to 6 blocks
print(list(lens.shape), "the same as the loop:", torch.allclose(torch.stack(by_loop), lens, atol=1e-5))
print("token 0 after 6 blocks is the model's answer:", torch.allclose(lens[-1, :, 0], model(images), atol=1e-5))

# %% [markdown]
# How often is the reading right, after each block? Once for the class token, once for a patch. A **control** belongs to
# it: the same model without training. What *that* shows comes from the architecture, and was not learned.

# %%
torch.manual_seed(0)
untrained = ViT(model.config).eval()


def share_right(logits):  # [layers, B, K] -> [layers]
    return (logits.argmax(dim=-1) == labels).float().mean(dim=-1)


curves = {
    "class token": share_right(lens[:, :, 0]),
    "one patch, mean of 49": torch.stack([share_right(lens[:, :, token]) for token in range(1, 50)]).mean(dim=0),
    "class token, untrained": share_right(logit_lens(untrained, images)[:, :, 0]),
}
print(f"{'after so many blocks':<24}" + "".join(f"{k:>6}" for k in range(7)))
for name, values in curves.items():
    print(f"{name:<24}" + "".join(f"{value:>6.0%}" for value in values))

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 1, size=(7, 3.2))
plots.draw_lines(axes[0, 0], range(7), curves, "blocks", "right answers", marker="o")
axes[0, 0].set_ylim(0, 1)
plots.show(
    figure,
    alt="Three lines over the number of blocks. The class token rises from one in ten to more than nine in ten, one patch rises later and less far, the untrained model stays at the bottom.",
    caption="The lens on 300 test pictures. Guessing is right for one in ten.",
)

# %% [markdown]
# The answer grows from block to block. Patches can be read too, although no training step ever read one of them.
#
# Is it always so? Here is the model of lesson 11, which learned from photographs of 32×32 pixels. It has no class
# token: its answer comes from the mean of all tokens. So the lens reads that mean.

# %%
photo_model = load_model(DATA_FOLDER / "vit_cifar10.safetensors")
shown = {"cat": "chelsea", "coffee": "coffee", "astronaut": "astronaut", "rocket": "rocket"}
photographs = torch.stack([pictures(file, 32) for file in shown.values()])  # [4, 3, 32, 32]
seen = photo_model.card.normalize(photographs)
print(f"{'after':<10}" + "".join(f"{name:<18}" for name in shown))
for k, x in enumerate(token_stages(photo_model, seen)):
    with torch.no_grad():
        top, said = photo_model.classify(photo_model.norm(x)).softmax(dim=-1).max(dim=-1)
    words = [f"{photo_model.card.class_names[i]} {p:.0%}" for i, p in zip(said, top, strict=True)]
    print(f"{k} blocks  " + "".join(f"{word:<18}" for word in words))

# %% [markdown]
# On these four, nothing before the last block looks like the answer. Does this model know nothing until then? Four
# pictures are few, and of the four only the cat is of a class that it can name. The record has 1,000 test pictures for
# each model (`python -m vit_tutorial.studies lens`):

# %%
sources = {"fashion_mnist": "clothes", "cifar10": "photographs"}
recorded = load_study("lens").values("accuracy")  # of each source: 10 groups of 100 pictures, [10, 7]
print(f"{'right after so many blocks':<28}" + "".join(f"{k:>6}" for k in range(7)))
for source, words in sources.items():
    values = torch.tensor(recorded[source]).mean(dim=0)
    print(f"{words:<28}" + "".join(f"{value:>6.0%}" for value in values))

# %% [markdown]
# No. It knows later than the model of clothes, but not only at its end. Our four photographs misled us, as any
# handful of pictures may.
#
# **What this does not prove.** The lens shows what *this head* can read after block k. If it reads nothing, the
# knowledge may still be there, written in another way. If it reads the answer, the model need not *use* it. For that we
# must change something, and see what follows.

# %% [markdown]
# ## Where does the knowledge sit?
#
# Take two pictures, a sneaker and a bag. Run both. After block k, take the class token of the sneaker out, put the one
# of the bag in, and let the rest of the model go on:
#
# $$\tilde z_k = [\,z_k^0(\text{bag});\ z_k^{1 \dots N}(\text{sneaker})\,], \qquad
# \text{answer} = \text{head}(\text{LN}(\text{block}_L(\dots \text{block}_{k+1}(\tilde z_k))^0))$$
#
# If the class token carries the answer, the model now says *bag*. Then the other way round: keep the class token, and
# exchange the 49 patches. This is called **activation patching**. (The word has nothing to do with patches of a
# picture.)

# %%
sneaker, bag = images[9:10], images[18:19]  # [1, 1, 28, 28] each; another sneaker than above
print("the answer for the sneaker, with tokens of the bag put in after k blocks")
print(f"{'k':<4}{'class token of the bag':<26}{'patches of the bag'}")
for k in range(7):
    class_token = patch_tokens(model, sneaker, k, slice(0, 1), put_in=bag)  # [1, 10]
    patches = patch_tokens(model, sneaker, k, slice(1, None), put_in=bag)
    print(f"{k:<4}{names[class_token.argmax()]:<26}{names[patches.argmax()]}")

# %% [markdown]
# Before the first block the class token is the same for both pictures, so exchanging it changes nothing. All is in the
# patches. After the last block only the class token is read: all is in there. In between the knowledge moves.
#
# One pair of pictures may be an accident. The record holds 1,000 test pictures, each exchanged with another one
# (`python -m vit_tutorial.studies patching`). It holds three kinds of exchange: one can put in zeros (*zero ablation*),
# the mean over all pictures (*mean ablation*), or what another picture has there.

# %% jupyter={"source_hidden": true}
study = load_study("patching")
right = {kind: torch.tensor(groups).mean(dim=0) for kind, groups in study.values("accuracy").items()}  # of 7, or of 6
kinds = {"zero": "zeros", "mean": "the mean", "another picture": "another picture's"}
figure, axes = plots.new_figure(1, 3, size=(11, 3.2), sharey=True)
for ax, (kind, words) in zip(axes[0], kinds.items(), strict=True):
    lines = {what: right[f"{what}, {kind}"] for what in ("class token", "patches")}
    plots.draw_lines(ax, range(7), lines, "exchanged after so many blocks", "", marker="o")
    ax.set_title(f"put in: {words}", fontsize=10)
    ax.set_ylim(0, 1)
axes[0, 0].set_ylabel("still right")
plots.show(
    figure,
    alt="Three plots, for zeros, the mean, and another picture's tokens. In each, the line of the class token falls, from nine right in ten (with zeros from seven) to one in ten, the line of the patches rises from one in ten to nine, and they cross after two or three blocks.",
    caption="How often the model is still right when the class token, or all patches, are exchanged after k blocks. 1,000 pictures of clothes.",
)

# %% [markdown]
# Far left the answer sits in the patches, far right in the class token; near the crossing some of it is in both. But
# look at the left end. The class token is the same for all pictures there, so with the mean or another picture's
# nothing changes. A token of zeros the model has never met: many answers are lost, and no knowledge was. Another
# picture's token does not only take knowledge away, it brings false knowledge. So **name the kind of exchange, or the
# number means nothing**. Here are the same three kinds for all four heads of a block together:

# %%
print(f"nothing exchanged: {with_error(right['class token, mean'][0], 1000)} right")
print(f"{'all heads of block':<20}" + "".join(f"{block:>6}" for block in range(1, 7)))
for kind, words in kinds.items():
    print(f"{words:<20}" + "".join(f"{value:>6.0%}" for value in right[f"heads, {kind}"]))

# %% [markdown]
# Does the model need the heads of block 1? With the mean in their place it keeps most of its right answers. With
# another picture's it loses nearly half of them. Both are true, and they answer different questions. *Does it need what
# these heads say about this picture? Can it be led astray through them?*

# %% [markdown]
# ## In a picture you can touch
#
# LensLab runs the model in your browser. Small words on the picture: what each patch says through the lens, after the
# blocks that are done; blue is what the model answers in the end. Page Up and Page Down choose the block.
#
# 1. The class token is chosen. Go from 0 blocks to 6. When does it know?

# %%
numbers = {"ankle boot": 0, "trouser": 2, "sneaker": 9, "bag": 18}  # name of a picture: its number in the test set
LensLab(model, {name: data.test_images[number] for name, number in numbers.items()}, model.card.class_names)

# %% [markdown]
# 2. Look at the small words on the boot, and at those in the four corners. (The arrow keys choose a patch, `c` the
#    class token.) Where does it say *ankle boot* after 3 blocks? And after 6?
# 3. Back to the class token, after 1 block. Press `x`: now it is the trouser's. Orange is the trouser's own answer. Go
#    on from block to block; the exchange moves along. When does the answer follow?
# 4. Press `p`: now all patches are the trouser's. Find the block at which neither exchange alone makes it a trouser.
#    (*More*, `m`, has the bars of the chosen token, block by block, and other pictures to exchange tokens with.)
#
# <details><summary>What we saw</summary>
#
# 1. It says *bag*, then *coat*, and *ankle boot* from 2 blocks on.
# 2. After 3 blocks at about a third of the patches, most of them on the boot. After 6 at nearly half. The corners say
#    something else, both times.
# 3. After 0 and 1 blocks nothing happens. After 2 the answer is neither. From 3 blocks on it is *trouser*.
# 4. After 2 blocks. The knowledge is on its way then: some of it has arrived, and some has not.
#
# </details>

# %% [markdown]
# ## Do attention maps show what decided?
#
# Here are six ways to rank the 49 patches of a picture. All give one number for each patch; larger says "more
# important". (Such a ranking is called an *attribution*, and drawn as a map, a *saliency map*.)
#
# | method | what it is |
# |---|---|
# | attention, last block | the class token's row of the last map, mean of the heads |
# | attention, all blocks | the same, mean of all blocks |
# | rollout | all maps (mean of the heads) multiplied, last block leftmost, with half of each for the residual connection: $\tilde A = \prod_{\ell=L}^{1} (A_\ell + I)/2$ (Abnar and Zuidema 2020) |
# | gradient x input | how fast the logit grows with each pixel, times the pixel as the model gets it, added up over a patch (Shrikumar et al. 2016) |
# | occlusion | cover this patch, and see how much probability is lost (Zeiler and Fergus 2014) |
# | brightness | the mean of the pixels. It never asks the model, so it is a control |


# %% jupyter={"source_hidden": true}
def rank(method, model, pixels, fill="mean"):  # [B, C, H, W] as bytes -> [B, N]
    generator = torch.Generator().manual_seed(0)
    return inside.METHODS[method](model, model.card.normalize(pixels), pixels, fill, generator)


shown_methods = [name for name in inside.METHODS if name not in ("random", "contrast")]
figure, axes = plots.new_figure(1, 6, size=(12, 2.8))
for ax, method in zip(axes[0], shown_methods, strict=True):
    values = rank(method, model, pixels[None])[0].clamp(min=0).reshape(7, 7)
    plots.draw_attention(ax, pixels, values, method.replace(", ", "\n"))
plots.show(
    figure,
    alt="Six maps of the sneaker of the beginning, with bright and dark patches. The brightest patch of rollout and of occlusion is the same, at the top of the shoe; each of the other four has another one.",
    caption="Six methods, and the sneaker of the beginning. They do not agree. Each map has its own scale: its largest number is brightest.",
)

# %% [markdown]
# **Cover the patches that a method ranks highest, and watch the probability of the answer.** A method that knows what
# the answer needs makes it fall fast. This is called *deletion* (Petsiuk et al. 2018). With what do we cover? Black is
# not nothing: it is what the background of these pictures is made of. So three ways are tried: the mean colour of the
# training pictures, black, and noise. (`inside.METHODS` are the six methods and two more controls.)

# %%
counts = [0, 1, 2, 5, 10, 20, 30, 40]
first = slice(0, 50)
ranked = {method: rank(method, model, data.test_images[first]) for method in inside.METHODS}  # [50, 49] each
falls = {
    method: deletion_curve(model, images[first], ranking, counts).mean(dim=0) for method, ranking in ranked.items()
}
print(f"{'covered, mean colour':<24}" + "".join(f"{count:>6}" for count in counts))
for method, fall in falls.items():
    print(f"{method:<24}" + "".join(f"{value:>6.0%}" for value in fall))

# %% [markdown]
# *Random* says what comes by chance, and *contrast* (how much the pixels of a patch differ) is one more control without
# a model. Fifty pictures, covered with the mean colour alone, one model: too little for a verdict. The record has 1,000
# test pictures of clothes and 1,000 photographs of CIFAR-10, each covered in three ways
# (`python -m vit_tutorial.studies faithfulness`). The model of photographs has no class token, so *where it looks* is the
# mean over the rows of all patches.

# %% jupyter={"source_hidden": true}
study = load_study("faithfulness")
curves = {name: torch.tensor(groups).mean(dim=0) for name, groups in study.values("probability").items()}
figure, axes = plots.new_figure(2, 3, size=(11, 6.6), sharey=True)
for row, (source, words) in zip(axes, sources.items(), strict=True):
    for ax, fill in zip(row, inside.FILLS, strict=True):
        controls = {method: curves[f"{source}, {fill}, {method}"] for method in inside.CONTROLS}
        methods = {method: curves[f"{source}, {fill}, {method}"] for method in inside.METHODS if method not in controls}
        plots.draw_lines(ax, inside.SHARES, methods, "share of patches covered", "")
        for (method, curve), dashes in zip(controls.items(), (":", "--", "-."), strict=True):
            ax.plot(inside.SHARES, curve, color=plots.GREY, linestyle=dashes, label=f"{method} (control)")
        ax.get_legend().remove()  # one for all six stands below
        ax.set_title(f"{words}, covered with {fill}", fontsize=10)
        ax.set_ylim(0, 1)
    row[0].set_ylabel("probability of the answer")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
plots.show(
    figure,
    alt="Six plots of falling lines, one for each method. Occlusion falls fastest at first in all. On clothes covered with black, the grey line of brightness falls faster than every kind of attention.",
    caption="Deletion curves, mean of 1,000 pictures each. Lower is better: the method found what the answer needs. Grey: controls that never ask the model.",
)

# %% [markdown]
# Occlusion is no competitor. It *is* the measurement, one patch at a time, so it wins at first. The grey lines show what
# one gets without asking the model. A method that does not beat them has shown nothing about the model.
#
# Judge the controls too. On clothes covered with black, brightness has it easy: it covers the shoe first, while a
# method that covers black background with black changes nothing. One way of covering alone would have fooled us.
#
# ### "Attention maps show what the model looks at"
#
# One number for each curve: the area under it, which is the mean probability on the way from no patch covered to all.
# The smaller, the better. We ask for more than the best control: in each group of 100 pictures, attention is set
# against the lowest of the three. Below, *plus* means that attention is better. First two maps of attention; then, each
# in a line, the other rankings that ask the model.

# %% tags=["claim-L2"]
area = study.values("area")  # of each "source, fill, method": one number for each of 10 groups of 100 pictures


def against_controls(method, source):
    pairs = {}
    for fill in inside.FILLS:
        controls = [area[f"{source}, {fill}, {control}"] for control in inside.CONTROLS]
        best = [min(groups) for groups in zip(*controls, strict=True)]
        pairs[fill] = (best, area[f"{source}, {fill}, {method}"])
    claim = f"{method!r} beats every control on {sources[source]}"
    return compare_each(pairs, claim, holds="if", unit="of the area", of="groups of pictures")


for method in ("attention, last block", "attention, all blocks"):
    for source, words in sources.items():
        print(f"{method}; {words}, covered with", against_controls(method, source), "", sep="\n")
for method in ("rollout", "gradient x input", "occlusion"):
    print(*(str(against_controls(method, source)).splitlines()[-1] for source in sources), sep="\n")

# %% [markdown]
# It depends on the map, on what covers, and on the pictures or the model (clothes and photographs differ in both). On
# photographs both maps beat every control. On clothes the usual drawing, the last block alone, loses twice against a
# ranking that never saw the model. With all blocks taken together it is better, and still loses once, and so does
# rollout, which is made of the same maps. Be careful with any map of attention. In the last block a patch no longer
# holds only what lay at its place: five blocks have mixed it with others. And attention says from where values flow,
# not what they say, nor what the next layers do with them.
#
# **What this does not prove.** A covered picture is one that the model never met in training. Some of the fall may come
# from that. Three ways of covering are an answer to this worry, not the end of it. And these are two models, each
# trained once: the intervals speak of other pictures, not of other trainings.

# %% [markdown] tags=["extra"]
# *Extra.* The same maps on our photographs. Which of them would you have believed? Only those on the right were
# measured by changing the picture.

# %% tags=["extra"]
methods = ("attention, last block", "attention, all blocks", "rollout", "occlusion")
figure, axes = plots.new_figure(4, 5, size=(10, 8.4))
for row, picture, name in zip(axes, photographs, shown, strict=True):
    plots.draw_image(row[0], picture, name)
    for ax, method in zip(row[1:], methods, strict=True):
        values = rank(method, photo_model, picture[None])[0].clamp(min=0).reshape(8, 8)
        plots.draw_attention(ax, picture, values, method)
plots.show(
    figure,
    alt="A cat, a coffee cup, an astronaut and a rocket, each with four maps. Attention in the last block marks a few patches. The mean of all blocks and rollout spread over the whole picture. Occlusion marks a few patches of the cat's face and of the astronaut, and for the cup nearly all. For the rocket all maps are bright at the lower edge, where the lights are.",
    caption="The model of photographs says "
    + ", ".join(photo_model.card.class_names[i] for i in photo_model(seen).argmax(dim=1))
    + ". 32×32 pixels are all that it sees. Each map has its own scale.",
)

# %% [markdown]
# ## How far do heads look?
#
# The **attention distance** of a head is the mean distance, in pixels, between a patch and the patches that it looks at
# (figure 7 of the paper, right). For patch $i$ at the place $r_i$, the mean over all $i$ of
#
# $$d_i = \frac{\sum_j A_{ij} \, \lVert r_i - r_j \rVert}{\sum_j A_{ij}}$$
#
# (Here j counts patches only. Without the class token a row no longer sums to 1, so we divide.) And *globally* needs a
# number before we look: at least three quarters of the dashed line below, a head that looks at all patches alike.


# %%
def distances(model, images):  # -> [L, h], pixels
    maps = attention_maps(model, images)
    return attention_distance(maps, model.config.patch_size, model.grid_size, model.num_prefix_tokens)


def even_distance(model):  # of a head that looks at all N patches alike
    patches = math.prod(model.grid_size)
    even = [torch.full((1, 1, patches, patches), 1 / patches)]
    return attention_distance(even, model.config.patch_size, model.grid_size, num_prefix_tokens=0).item()


# %% jupyter={"source_hidden": true}
def draw_distances(ax, model, images, title):
    for by_block in distances(model, images).T:  # of each head
        ax.plot(range(1, len(by_block) + 1), by_block, "o", color=plots.BLUE, alpha=0.6, markersize=5)
    ax.axhline(even_distance(model), color=plots.GREY, linestyle="--", linewidth=1)
    ax.set(title=title, xlabel="block", ylim=(8, 21))


figure, axes = plots.new_figure(1, 2, size=(8, 3), sharey=True)
draw_distances(axes[0, 0], model, images, "clothes, trained")
draw_distances(axes[0, 1], untrained, images, "untrained")
axes[0, 0].set_ylabel("attention distance, pixels")
plots.show(
    figure,
    alt="Two plots of attention distance by block, four dots in each block. Trained and untrained heads alike lie near the dashed line; the trained ones are spread a little wider.",
    caption="Each dot is one head. Dashed: a head that looks everywhere alike.",
)

# %% [markdown]
# ### "A ViT sees globally from the first layer"
#
# All four heads of block 1 have to reach three quarters of the dashed line, on ten groups of 30 pictures. The control
# gets the same test.

# %% tags=["claim-L1"]
for words, one in (("trained", model), ("untrained", untrained)):
    groups = [distances(one, images[group::10])[0] for group in range(10)]  # of 10 groups: [4], the heads of block 1
    three_quarters = [0.75 * even_distance(one)] * 10
    pairs = {f"{words}, head {h}": ([group[h].item() for group in groups], three_quarters) for h in range(4)}
    claim = f"every head of block 1 looks far, {words}"
    print(f"limit: {three_quarters[0]:.1f} pixels; the numbers are how far a head lies above it")
    print(compare_each(pairs, claim, unit="pixels", of="groups of pictures"))
    print()

# %% [markdown]
# True, and it means little: the model that never learned does so too. Looking everywhere alike *is* global, and it is
# where training starts. What training can teach is to look near.
#
# Did the model of photographs learn it? We have it at six moments of its training.

# %% jupyter={"source_hidden": true}
torch.manual_seed(0)
moments = {0: ViT(photo_model.config).eval()}
moments[0].card = photo_model.card
for epoch in (1, 2, 5, 12):
    moments[epoch] = load_model(DATA_FOLDER / "vit_cifar10_epochs" / f"epoch_{epoch:03}.safetensors")
moments[24] = photo_model
figure, axes = plots.new_figure(1, 6, size=(12, 2.8), sharey=True)
for ax, (epoch, at_that_time) in zip(axes[0], moments.items(), strict=True):
    draw_distances(ax, at_that_time, seen, f"{epoch} epochs")
axes[0, 0].set_ylabel("attention distance, pixels")
plots.show(
    figure,
    alt="Six plots of attention distance by block. Untrained, all heads lie near the dashed line. With training, two heads of block 2 fall clearly below it, and some heads of later blocks rise above it.",
    caption="The same 24 heads over the training on photographs. Each dot is one head.",
)

# %% jupyter={"source_hidden": true}
print(f"a head that looks everywhere alike: {even_distance(photo_model):.1f} pixels")
for epoch, at_that_time in moments.items():
    of_head = distances(at_that_time, seen)  # [6, 4]
    block, head = divmod(of_head.argmin().item(), 4)
    print(
        f"{epoch:>2} epochs: nearest {of_head.min():.1f} (head {head} of block {block + 1}), farthest {of_head.max():.1f}"
    )

# %% [markdown]
# In this model looking near is learned, in the first blocks, and most of all by two heads of block 2. Slide through the
# training yourself. It opens on block 2, its layer 1: it counts from 0. Choose the astronaut, and click the dark helmet
# in the corner, patch 62. Where does it look at first, and where in the end? (The map is the mean of the heads.)

# %%
TrainingTimeline(moments, photographs, list(shown), layer=1)

# %% [markdown]
# Patch 62 looks at all patches about alike at first. In the end nearly half goes to itself and the five around it;
# shared evenly, these would get a tenth.
#
# **What this does not prove.** A distance is a mean. A head that looks at its neighbour and at the far corner has a
# middle distance, and never looks there. Four photographs are few, as we have seen.
#
# ## What did positions learn?
#
# The positions of lesson 3 start as noise. Below is the cosine similarity of one patch's position with all the others.


# %%
def similarity(model):  # -> [N, N]
    positions = model.position.pos_embed[0, model.num_prefix_tokens :].detach()  # [N, D]
    return F.cosine_similarity(positions[:, None], positions[None], dim=-1)


# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 4, size=(10, 2.9))
for ax, (place, epoch) in zip(axes[0], [(27, 24), (25, 24), (0, 24), (25, 0)], strict=True):
    title = f"patch {place}" + ("" if epoch else ", untrained")
    plots.draw_matrix(ax, similarity(moments[epoch])[place].reshape(8, 8), title, decimals=None, vmin=-1, vmax=1)
plots.show(
    figure,
    alt="Four 8 by 8 maps. In the three of the trained model the patch itself and its neighbours are bright: patch 27 in the middle, patch 25 near the left edge, patch 0 in the upper left corner. For patches 25 and 0 the mirror image, at the right edge, is bright too. In the untrained one only the patch itself is.",
    caption="Cosine similarity of one position with all 64, in the grid of the picture: yellow 1, green-blue 0, violet −1. The model of photographs.",
)

# %% [markdown]
# ### "Neighbouring positions get similar embeddings"
#
# The number: mean similarity of patches next to each other, less that of all other pairs. The control: the same rows,
# given to the 64 places in random order, 1,000 times. If places do not matter, the true order is one of many.


# %% tags=["claim-E4"]
def nearness(alike, rows, columns):  # [N, N] -> a number
    row, column = torch.arange(rows * columns) // columns, torch.arange(rows * columns) % columns
    steps = (row[:, None] - row).abs() + (column[:, None] - column).abs()  # [N, N]
    return (alike[steps == 1].mean() - alike[steps > 1].mean()).item()


generator = torch.Generator().manual_seed(0)
for words, one in {"clothes": model, "photographs": photo_model, "photographs, untrained": moments[0]}.items():
    alike, places = similarity(one), math.prod(one.grid_size)
    orders = [torch.randperm(places, generator=generator) for _ in range(1000)]
    shuffled = [nearness(alike[order][:, order], *one.grid_size) for order in orders]
    claim = f"neighbours are more alike than others, {words}"
    print(against_shuffles(nearness(alike, *one.grid_size), shuffled, claim, name=words))

# %% [markdown]
# Look at patches 25 and 0 once more: the same place on the other side is like them too. The model of photographs
# learned from pictures and from their mirror images, so left and right were perhaps not worth telling apart.
#
# Extras come next; you may go on to the exercises at once.

# %% [markdown] tags=["extra"]
# ## Extras
#
# ### What did the filters learn?
#
# *Extra.* The **patch embedding** is a convolution. Each of its filters is a small colour picture of 4×4 pixels. Their
# main directions (principal components; figure 7 of the paper, left) show what the model notices in a patch.


# %% tags=["extra"]
def components(model, count=16):  # -> [count, C, P, P], 0 to 1
    weight = model.patch_embed.proj.weight.detach()  # [D, C, P, P]
    filters = weight.flatten(1)
    directions = torch.linalg.svd(filters - filters.mean(dim=0))[2][:count]  # [count, C·P·P]
    directions = directions / directions.abs().amax(dim=1, keepdim=True)
    return (directions.reshape(count, *weight.shape[1:]) + 1) / 2


figure, axes = plots.new_figure(2, 16, size=(12, 1.8))
for row, epoch in zip(axes, (24, 0), strict=True):
    for ax, component in zip(row, components(moments[epoch]), strict=True):
        plots.draw_image(ax, component)
plots.show(
    figure,
    alt="Two rows of 16 small pictures of 4 by 4 pixels. Above, many have a pattern: stripes up and down, light above dark, blue above orange, a light middle. Below, every pixel has a colour of its own, without any pattern.",
    caption="The 16 main directions of the filters, the most important first. Above after training, below before.",
)

# %% [markdown] tags=["extra"]
# ### Do ViTs need registers?
#
# *Extra.* In many trained ViTs a few patches, mostly in a plain background, get vectors much longer than the others.
# The model seems to keep notes about the whole picture there. Darcet et al. (2024) call them artefacts: they spoil
# the maps. They give the model some extra tokens for its notes, the **registers**. In DINOv2, a family of ViTs
# trained without labels, they find long patches in the larger models only; in two other families, DeiT-III and
# OpenCLIP, at size B too. And here? Count the patches that are more than three times as long as the median.

# %% tags=["extra"]
print(f"{'':<28}" + "".join(f"{f'block {block}':>9}" for block in range(1, 7)))
for words, (one, pixels) in {"clothes": (model, images), "photographs": (photo_model, seen)}.items():
    norms = patch_norms(one, pixels)[1:, :, one.num_prefix_tokens :].flatten(1)  # [6, B·N]
    median = norms.median(dim=1).values  # [6]
    print(f"{words + ', longest/median':<28}" + "".join(f"{value:>9.1f}" for value in norms.amax(dim=1) / median))
    print(f"{words + ', over 3 medians':<28}" + "".join(f"{n:>9}" for n in (norms > 3 * median[:, None]).sum(dim=1)))

# %% [markdown] tags=["extra"]
# None, in 14,700 patches of clothes and 256 of photographs. So the answer to the question is *not seen in these two*,
# which are small and read few patches.

# %% [markdown] tags=["extra"]
# ### Two at once
#
# *Extra.* Explorers are ordinary ipywidgets, so two can be joined. The first has the trained model, the second the one
# that never learned: move one of them, and the other follows.

# %% tags=["extra"]
from ipywidgets import HBox, jslink

both = {"boot (trained)": model, "boot (untrained)": untrained}
labs = [LensLab(one, {words: data.test_images[0]}, names) for words, one in both.items()]
for lab in labs:
    lab.layout.flex, lab.layout.min_width = "1 1 320px", "0"  # where two do not fit, one lies below the other
for trait in ("block", "token"):
    jslink((labs[0], trait), (labs[1], trait))
HBox(labs, layout={"flex_flow": "row wrap"})

# %% [markdown]
# ## Exercise: a lens by hand
#
# Difficulty 1 of 5, about 4 minutes. Importance 3 of 3. You get tokens as they leave a block, [B, M, D], the model's
# last norm, and its head. Give what every token would answer now: logits [B, M, K].
#
# <details><summary>Hint 1</summary>
#
# What stands between the last block and the logits in equation 4 (lesson 2) and behind it? The same stands here,
# earlier.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A norm and a linear layer work along the last axis, and on each token alone. So both take [B, M, D] as it is.
#
# </details>


# %% tags=["exercise"]
def my_lens(tokens, norm, head): ...  # [B, M, D] -> [B, M, K]


check.lens(my_lens)

# %% [markdown]
# With it, count the patches of the sneaker that would say *sneaker*:

# %%
if check.lens(my_lens).passed:
    stages = token_stages(model, sneaker)  # 7 of [1, 50, D]
    mine = torch.stack([my_lens(tokens, model.norm, model.head) for tokens in stages])  # [7, 1, 50, 10]
    print("the same as logit_lens:", torch.allclose(mine, logit_lens(model, sneaker), atol=1e-5))
    say_so = (mine[:, 0, 1:].argmax(dim=-1) == labels[9]).sum(dim=-1)
    print("patches of 49 that say 'sneaker', after 0 to 6 blocks:", say_so.tolist())
else:
    print("my_lens does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# The solution is in the next cell, folded. Open it when your own passes, or when you are stuck.


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_lens(tokens, norm, head):
    return head(norm(tokens))


check.lens(my_lens)

# %% [markdown]
# Now run the cell above the solution again: it reads the patches with your lens.

# %% [markdown]
# ## Exercise: rollout
#
# Difficulty 2 of 5, about 8 minutes. Importance 2 of 3. You get a list of L attention maps, one for each block, the
# first block first. Each is [B, h, M, M] for M tokens, and row i says where token i looks. Give one [B, M, M]: row i
# says from where token i has what it holds after all blocks. Average the heads of each block. Let half of each block be
# the token itself, since the residual carries it past attention: (A + I) / 2. Then follow the blocks one after the
# other.
#
# <details><summary>Hint 1</summary>
#
# One picture, one block: with $\hat{A}_1 = (A_1 + I)/2$, token i holds the mixture $\sum_j (\hat{A}_1)_{ij}\, x_j$.
# Block 2 mixes those mixtures: $\hat{A}_2 (\hat{A}_1 x)$. On which side does the newer block stand?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Begin with `torch.eye(M)`. Inside the loop, `weights.mean(dim=1)` averages the heads, and `layer @ so_far` puts a
# block on top of what came before it. `@` takes the batch along: [B, M, M] @ [B, M, M].
#
# </details>


# %% tags=["exercise"]
def my_rollout(maps): ...  # L of [B, h, M, M] -> [B, M, M]


check.rollout(my_rollout)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_rollout(maps):
    identity = torch.eye(maps[0].shape[-1])
    so_far = identity.expand(len(maps[0]), -1, -1)  # [B, M, M]: before the first block each token is itself
    for weights in maps:
        layer = (weights.mean(dim=1) + identity) / 2  # [B, h, M, M] -> [B, M, M]
        so_far = layer @ so_far  # the newer block on the left
    return so_far


check.rollout(my_rollout)

# %% [markdown]
# ## Exercise: exchange tokens
#
# Difficulty 3 of 5, about 10 minutes. Importance 3 of 3. Write `patch_tokens` yourself, with the model's own parts. You
# get a model, images [B, C, H, W], as many others, the number k of blocks that are done before the exchange, and a list
# of places in the sequence (0 is the class token). Give the logits [B, K] for `images`, if at these places the tokens
# of `others` go in.
#
# The parts, as in lesson 7: `model.patch_embed`, `model.class_token`, `model.position`, `model.blocks`, `model.norm`,
# `model.head`. `model.blocks[:k]` is a stack of the first k blocks, called like a function; `model.blocks[k:]` is the
# rest.
#
# <details><summary>Hint 1</summary>
#
# Both go the same way up to the exchange: images to x, others to y, each through the first k blocks. After it only x
# goes on.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Axis 0 of x is the pictures, axis 1 the tokens: `x[:, tokens] = y[:, tokens]`. Then the rest of the blocks, the norm,
# and the head on token 0.
#
# </details>


# %% tags=["exercise"]
def my_exchange(model, images, others, k, tokens): ...  # -> [B, K]


check.exchange(my_exchange)

# %% [markdown]
# With it: how many patches of the bag must go into the sneaker, until the model says *bag*? The patches go in row by
# row, from the top.

# %%
if check.exchange(my_exchange).passed:
    with torch.no_grad():
        for k in (0, 2, 4):
            said = []
            for rows in range(8):
                logits = my_exchange(model, sneaker, bag, k, list(range(1, 1 + 7 * rows)))
                said.append(names[logits.argmax()])
            print(f"after {k} blocks, 0 to 7 rows:", ", ".join(said))
else:
    print("my_exchange does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_exchange(model, images, others, k, tokens):
    x, y = (model.position(model.class_token(model.patch_embed(pixels))) for pixels in (images, others))
    x, y = model.blocks[:k](x).clone(), model.blocks[:k](y)  # [B, N+1, D] each
    x[:, tokens] = y[:, tokens]
    x = model.norm(model.blocks[k:](x))
    return model.head(x[:, 0])


check.exchange(my_exchange)

# %% [markdown]
# Now run the cell above the solution again: it exchanges row by row.

# %% [markdown]
# ## Exercise: which heads look near?
#
# Difficulty 2 of 5, about 6 minutes. Importance 2 of 3. A plot of attention distance always has a lowest dot. Did that
# head *learn* to look near? The control says what heads do that learned nothing. You get the distances of a trained
# model, [L, h], and those of S models of the same shape that were never trained, [S, L, h]. Return a list of pairs
# (block, head), both counted from 0: the heads that look nearer than **every** head of every untrained model. There may
# be none.
#
# <details><summary>Hint 1</summary>
#
# Head 2 of one model has nothing to do with head 2 of another: each starts with numbers of its own. So all S·L·h
# untrained heads together are one control. Which single number of them do you need?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `trained < limit` is a table of True and False, and `.nonzero().tolist()` gives the places of True, row and column. A
# tie is no win: `<`.
#
# </details>


# %% tags=["exercise"]
def my_near_heads(trained, untrained): ...  # [L, h], [S, L, h] -> [(block, head), …]


check.near_heads(my_near_heads)

# %% [markdown]
# With it, read the plots of the photographs again, against five models that never learned. They start from other
# numbers than the untrained one in the plot. So that one tests the control: after 0 epochs, hardly a head should look
# near.

# %%
if check.near_heads(my_near_heads).passed:
    control = []
    for seed in range(1, 6):
        torch.manual_seed(seed)
        control.append(distances(ViT(photo_model.config), seen))
    control = torch.stack(control)  # [5, L, h]
    print(f"120 heads that never learned: {control.min():.1f} to {control.max():.1f} pixels")
    for epoch, at_that_time in moments.items():
        found = my_near_heads(distances(at_that_time, seen), control)
        in_block = [sum(block == one for block, _ in found) for one in range(photo_model.config.depth)]
        print(f"after {epoch:>2} epochs: {len(found):>2} of 24 heads look near; in blocks 1 to 6: {in_block}")
else:
    print("my_near_heads does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_near_heads(trained, untrained):
    return [tuple(place) for place in (trained < untrained.min()).nonzero().tolist()]


check.near_heads(my_near_heads)

# %% [markdown]
# Now run the cell above the solution again: it reads the training with your rule.

# %% [markdown]
# ## Exercise: design a control
#
# Difficulty 3 of 5, about 8 minutes. Importance 3 of 3. You are shown a map, and it looks convincing. How would a map
# look, and how would its curve fall, if the method knew nothing? Write this control: you get a ranking [B, N], one
# number for each patch, and a seed. Give a ranking of the same shape
#
# - with the same values in each picture, so that drawn as a map it is just as lively,
# - at places that chance chooses, in every picture others,
# - the same again for the same seed, another for another seed,
# - and without touching the random numbers of the notebook, so that nothing else in it changes.
#
# <details><summary>Hint 1</summary>
#
# `torch.Generator().manual_seed(seed)` is a source of random numbers of your own. Hand it to `torch.rand` or
# `torch.randperm` as `generator=…`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A random order for each picture: random numbers [B, N], and `.argsort(dim=1)`. To take values in an order:
# `ranking.gather(1, order)`. A loop over the pictures with `torch.randperm` does as well, with *one* generator for all.
#
# </details>


# %% tags=["exercise"]
def my_control(ranking, seed): ...  # [B, N] -> [B, N]


check.shuffled_control(my_control)

# %% [markdown]
# With it, the verdict on one method: does rollout find what the answer needs, beyond its own values shuffled? (Again
# with the first 50 pictures.)

# %%
if check.shuffled_control(my_control).passed:
    shuffled = [
        deletion_curve(model, images[first], my_control(ranked["rollout"], seed), counts).mean(dim=0)
        for seed in range(3)
    ]
    lines = {"rollout": falls["rollout"]} | {f"rollout, shuffled {seed}": line for seed, line in enumerate(shuffled)}
    print(f"{'covered':<22}" + "".join(f"{count:>6}" for count in counts))
    for name, line in lines.items():
        print(f"{name:<22}" + "".join(f"{value:>6.0%}" for value in line))
else:
    print("my_control does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_control(ranking, seed):
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(ranking.shape, generator=generator).argsort(dim=1)  # [B, N]: an order for each picture
    return ranking.gather(1, order)


check.shuffled_control(my_control)

# %% [markdown]
# Now run the cell above the solution again: it lets your control run against rollout.
#
# A shuffled map is a weak opponent: it does not even know where the picture is. Brightness knows that, without asking
# the model. So beat the shuffle first, and brightness after it.

# %% [markdown]
# ## The bug clinic
#
# Six colleagues have written the same function, rollout from the class token to the patches, [B, N]. Five have one
# fault each, and one is well. Notebooks take such maps by a *hook*, a function that PyTorch calls each time a layer has
# run. They put it on the layer named `attn_drop`, through which the weights pass in timm's models. So here is the model
# of clothes once more, with attention written as timm writes it:

# %%
from vit_tutorial.exercises.lesson_08_looking_inside import TimmAttention, patient

timm_like = ViT(model.config, attention=TimmAttention).eval()
timm_like.load_state_dict(model.state_dict())
four = images[[9, 18, 2, 6]]  # a sneaker, a bag, a pair of trousers, a coat
with torch.no_grad():
    print("it gives the same logits:", torch.allclose(timm_like(four), model(four), atol=1e-5))

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 6, size=(12, 2.5))
for ax, letter in zip(axes[0], "ABCDEF", strict=True):
    plots.draw_attention(
        ax, data.test_images[9], patient(letter)(timm_like, four)[0].reshape(7, 7), f"patient {letter}"
    )
plots.show(
    figure,
    alt="Six maps of the same sneaker, of patients A to F. Those of B, C, E and F have a few bright patches, not all of them at the same places. That of A is bright nearly everywhere, that of D dark everywhere.",
    caption="The same picture, the same model, six maps. Which one would you have believed?",
)

# %% [markdown]
# A picture does not say whether it is right. So we plant the truth: a model of two blocks, in which in block 1 every
# token looks at patch 10 alone, and in block 2 at patch 30 alone. What should rollout say of the class token? Take a
# pencil. Each block keeps half, and reads half. So there are four quarters:
#
# | block 1 | block 2 | the quarter comes from |
# |---|---|---|
# | keeps | keeps | the class token itself |
# | reads | keeps | patch 10 |
# | keeps | reads | patch 30, which in block 1 kept what it was |
# | reads | reads | patch 10: patch 30 had read it in block 1 |
#
# Patch 10 gets 0.50, and patch 30 gets 0.25. Now four instruments:
#
# | instrument | how | a function that is well |
# |---|---|---|
# | shape | four pictures in, [4, 49] out? | yes |
# | sum | of the map of the sneaker, in the model of clothes | below 1: the class token keeps a share |
# | alone | the sneaker alone: the same map as among four pictures? | yes |
# | planted | what patches 10 and 30 get in the planted model | 0.50 and 0.25 |


# %%
class Planted(TimmAttention):
    looks_at = 0

    def weights(self, q, k):  # [B, h, M, M]: every token looks at one
        weights = torch.zeros(*q.shape[:3], k.shape[2])
        weights[..., self.looks_at] = 1
        return weights


planted = ViT(replace(model.config, depth=2), attention=Planted).eval()
for block, place in zip(planted.blocks, (10, 30), strict=True):
    block.attn.looks_at = 1 + place  # token 0 is the class token

print(f"{'patient':<10}{'shape':>7}{'sum':>7}{'alone':>8}{'planted':>14}")
for letter in "ABCDEF":
    function = patient(letter)
    among_four, alone, known = function(timm_like, four), function(timm_like, four[:1]), function(planted, four)
    shape, same = among_four.shape == (4, 49), torch.allclose(among_four[0], alone[0], atol=1e-5)
    print(f"{letter:<10}{shape!s:>7}{among_four[0].sum():>7.2f}{same!s:>8}{known[0, 10]:>8.2f}{known[0, 30]:>6.2f}")

# %% [markdown]
# ## Exercise: what is wrong with them?
#
# Difficulty 3 of 5, about 15 minutes. Importance 2 of 3. You get the letters of all patients in one string, "ABCDEF".
# Return a dict, `{"A": "…", "B": "…", …}`, that gives each letter one of these words:
#
# | word | the fault |
# |---|---|
# | `"well"` | none |
# | `"hook"` | it listens to `attn_drop`, and the fused kernel (lesson 5) never calls that: no map is collected |
# | `"pictures"` | it averages over axis 0, which holds the pictures, and not over axis 1, which holds the heads |
# | `"residual"` | it multiplies A and not (A + I) / 2 |
# | `"order"` | it multiplies the wrong way round: the newest block on the right |
# | `"column"` | it reads the class token's column, who looks *at* it, and not its row, where *it* looks |
#
# <details><summary>Hint 1</summary>
#
# A function without maps multiplies nothing, and is left with the identity. What is the sum of its row, without the
# class token itself?
#
# </details>
# <details><summary>Hint 2</summary>
#
# In the planted model nobody ever looks at the class token. Two patients have other planted numbers than they should,
# and not 0 twice: work out with a pencil what becomes of them if the blocks change places, and if no token keeps
# anything.
#
# </details>


# %% tags=["exercise"]
def my_map_diagnoses(patients): ...  # "ABCDEF" -> {"A": "…", "B": "…", …}


check.map_clinic(my_map_diagnoses)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_map_diagnoses(patients):
    words = ["column", "residual", "well", "hook", "pictures", "order"]
    return dict(zip(patients, words, strict=True))


check.map_clinic(my_map_diagnoses)

# %% [markdown]
# ### A seventh colleague
#
# He has put together what he found in the other five. It runs, and all that it gives is 0:


# %%
def where_it_looked(model, images):  # [B, C, H, W] -> [B, N]
    maps = []
    hooks = [
        block.attn.attn_drop.register_forward_hook(lambda layer, given, weights: maps.append(weights))
        for block in model.blocks
    ]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    rollout = torch.eye(1 + math.prod(model.grid_size)).expand(len(images), -1, -1)  # [B, N+1, N+1]
    for weights in maps:  # each [B, h, N+1, N+1]
        rollout = rollout @ weights.mean(dim=0)
    return rollout[:, 1:, 0]


print("its largest number:", where_it_looked(timm_like, four).max().item())

# %% [markdown]
# ## Exercise: mend all five (an extra)
#
# Difficulty 3 of 5, about 10 minutes. Importance 1 of 3. Five faults, in a dozen lines. But you only see the first; it
# hides the other four. Write the function so that it gives what a rollout should give, [B, N], also for one picture or
# for three. Leave the model as you found it: no hook of yours stays, and `fused_attn` is `True` again. Begin with a
# copy, mend one fault after the other, and let the check say what is left. The model that you get has `TimmAttention`
# in its blocks.
#
# <details><summary>Hint 1</summary>
#
# With `block.attn.fused_attn = False` a block takes the path on which `attn_drop` is called. Set it for all blocks
# before `model(images)`, and back to `True` after it.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Behind the maps it is your `my_rollout` from above. At the end: row i says where token i looks. Which row, and which
# of its numbers?
#
# </details>


# %% tags=["exercise"]
def my_where_it_looked(model, images): ...  # [B, C, H, W] -> [B, N]


check.mended_map(my_where_it_looked)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_where_it_looked(model, images):
    maps, hooks = [], []
    for block in model.blocks:
        block.attn.fused_attn = False  # mended: only so is attn_drop called
        hook = block.attn.attn_drop.register_forward_hook(lambda layer, given, weights: maps.append(weights))
        hooks.append(hook)
    with torch.no_grad():
        model(images)
    for block, hook in zip(model.blocks, hooks, strict=True):
        block.attn.fused_attn = True
        hook.remove()
    identity = torch.eye(1 + math.prod(model.grid_size))
    rollout = identity.expand(len(images), -1, -1)  # [B, N+1, N+1]
    for weights in maps:
        layer = (weights.mean(dim=1) + identity) / 2  # mended: over the heads, and with the residual
        rollout = layer @ rollout  # mended: the newer block on the left
    return rollout[:, 0, 1:]  # mended: the row of the class token


check.mended_map(my_where_it_looked)

# %% [markdown]
# What finds such faults? The planted model showed four of the five. The fifth, the mean over pictures, only *alone*
# showed: all planted maps are the same, so their mean is too. Plant a truth before you believe a picture, and let it
# differ from picture to picture.

# %% [markdown]
# ## What to remember
#
# 1. The logit lens reads a token before it is finished: last norm and head, after any block. It shows what *can* be
#    read.
# 2. To see what is *used*, exchange it, and watch the answer. Name the kind of exchange: zero, mean, or another
#    picture's.
# 3. A map of attention is a claim. Cover what it calls important, and hold the fall against a control that never asks
#    the model.
# 4. "Global" is where attention starts. Looking near is learned, if at all.
# 5. One picture is an example, and so are four. A control, many pictures and an interval make it evidence.
#
# | what | shape |
# |---|---|
# | lens: logits of every token after 0 to L blocks | [L+1, B, N+1, K] |
# | attention maps | L of [B, h, N+1, N+1] |
# | rollout | [B, N+1, N+1] |
# | a ranking of patches: occlusion, gradient x input | [B, N] |
# | deletion curve | [B, number of counts] |
# | attention distance | [L, h] |
#
# **Five questions.** Three on this lesson, and two that mix in earlier ones.
#
# <details><summary>After block 3 a patch reads as <em>sneaker</em> through the lens. Does the model use
# that?</summary>The lens cannot say. It shows what can be read there, not what is used. Exchange that patch after block 3,
# and see whether the answer changes.</details>
# <details><summary>In block 1 a head's attention reaches over half of the picture. What must you know before you say that it
# <em>learned</em> to look far?</summary>How far heads look that never learned. They look at all patches about equally, and
# that is far already. What training did is the difference between the two.</details>
# <details><summary>A method's curve falls faster than that of random patches, and as fast as that of brightness. What
# has it shown about the model?</summary>Nothing yet. Brightness never asks the model, and is as good.</details>
# <details><summary>The rows of an attention map sum to 1 (lesson 4). Why do the rows of a rollout sum to 1 too, for
# any number of blocks and heads?</summary>The mean of maps whose rows sum to 1 has such rows, half of it plus half of the
# identity too, and so has the product of two such matrices.</details>
# <details><summary>You exchange the class token before the first block with that of another picture. Why does nothing
# change (lesson 2)?</summary>There it is one learned vector, with its position: the same for every picture. What it says
# about a picture it first gets from the patches, in block 1.</details>
#
# **Next**: [lesson 9](09_vit_versus_cnn.ipynb) lets a ViT and a CNN compete, and asks what makes that fair.
#
# **Read on**: Abnar and Zuidema 2020, *Quantifying Attention Flow in Transformers* · Jain and Wallace 2019, *Attention
# is not Explanation* · Wiegreffe and Pinter 2019, *Attention is not not Explanation* · Chefer, Gur and Wolf 2021,
# *Transformer Interpretability Beyond Attention Visualization* · Vilas, Schaumlöffel and Roig 2023, *Analyzing Vision
# Transformers for Image Classification in Class Embedding Space* (the lens for ViTs) · Zhang and Nanda 2024, *Towards
# Best Practices of Activation Patching in Language Models* · Petsiuk, Das and Saenko 2018, *RISE* (deletion) · Raghu et
# al. 2021, *Do Vision Transformers See Like Convolutional Neural Networks?* · Darcet et al. 2024, *Vision Transformers
# Need Registers* · the code of this lesson: `vit_tutorial/introspection.py`.
