# %% [markdown]
# # 8 · Looking inside: what the pictures show, and what they do not
#
# **The question.** A trained ViT says *sneaker*. You can draw where it looked, and the drawing is beautiful. *Does it show
# why the model said so?* Most courses end with such a drawing. This lesson begins with one, and tests it.

# %%
import copy
import math

import torch
from torch.nn import functional as F

from vit_tutorial import ViT, attention_distance, attention_maps, attention_rollout, load_model, patchify, plots
from vit_tutorial.datasets import DATA_FOLDER, load, pictures
from vit_tutorial.evidence import compare
from vit_tutorial.exercises import check
from vit_tutorial.explore import LensLab, TrainingTimeline
from vit_tutorial.introspection import (
    covered,
    deletion_curve,
    gradient_times_input,
    logit_lens,
    occlusion,
    patch_heads,
    patch_norms,
    patch_tokens,
)
from vit_tutorial.studies import load_study

torch.set_num_threads(1)  # so that repeated runs agree

model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
images, labels = model.card.normalize(data.test_images[:300]), data.test_labels[:300]
names = model.card.class_names

# %%
sneaker = images[9:10]  # [1, 1, 28, 28]
last = attention_maps(model, sneaker)[-1].mean(dim=1)[0, 0, 1:].reshape(7, 7)  # what the class token looks at, all heads
lost = occlusion(model, sneaker)[0].reshape(7, 7)  # what the answer loses when a patch is covered
figure, axes = plots.new_figure(1, 3, size=(9, 3))
plots.draw_image(axes[0, 0], data.test_images[9], "the picture")
plots.draw_attention(axes[0, 1], data.test_images[9], last, "where it looked")
plots.draw_attention(axes[0, 2], data.test_images[9], lost.clamp(min=0), "what it needed")
plots.show(
    figure,
    alt="A sneaker, and two maps of its 49 patches as bright and dark squares. The bright squares of the two maps lie at different places.",
    caption="Middle: attention of the class token in the last block. Right: how much probability 'sneaker' loses when a patch is covered.",
)

# %% [markdown]
# The two maps are not the same. Which one tells why the model said *sneaker*? To find out we need more than maps. We need
# questions whose answers can be wrong.
#
# **What you will do**
#
# 1. Read the answer off after each block, and see *when* the model knows.
# 2. Exchange tokens between two pictures, and see *where* the knowledge sits.
# 3. Cover the patches that a method calls important, and see whether the answer *needs* them.
# 4. Measure how far heads look, in a trained model and in one that never learned.
#
# **Time**: 45 minutes, and 45 for the exercises. **You need**: lessons 2 to 7.

# %% [markdown]
# ## By hand
#
# A tiny model: tokens of two numbers, two classes, two blocks. Its head is the identity: the first number is the logit of
# *shoe*, the second that of *bag*. (It has no last norm.) Here is the class token of one picture, at three moments:
#
# | after | class token | read as logits | answer |
# |---|---|---|---|
# | 0 blocks | (0, 0) | 0, 0 | ? |
# | 1 block | (1, 2) | 1, 2 | ? |
# | 2 blocks | (4, 1) | 4, 1 | ? |
#
# Take a pencil and write the three answers. What did block 2 add to the token?

# %%
token = torch.tensor([[0.0, 0.0], [1.0, 2.0], [4.0, 1.0]])  # [stages=3, D=2]
for blocks, probability in enumerate(token.softmax(dim=-1)):
    print(f"after {blocks} blocks: shoe {probability[0]:.0%}, bag {probability[1]:.0%}")
print("block 2 added", (token[2] - token[1]).tolist())

# %% [markdown]
# At first it knows nothing. After block 1 it leans towards *bag*. Block 2 adds (3, −1) and turns it round. Reading a token
# with the head before it is finished is called the **logit lens**.
#
# The second tool with a pencil: **covering**. A picture of three patches. The model's probability of *shoe* is 0.9. Cover
# one patch, and it becomes 0.8, 0.3 or 0.9. Two methods rank the patches:
#
# | patch | 0 | 1 | 2 |
# |---|---|---|---|
# | probability when it is covered | 0.8 | 0.3 | 0.9 |
# | attention of the class token | 0.2 | 0.3 | 0.5 |
#
# Attention says that patch 2 matters most. Cover it, and nothing happens. Covering says that patch 1 does. *Nothing
# happens* is a fact about the model. *Attention is 0.5* is a fact about one step inside it.

# %% [markdown]
# ## When does it know?
#
# The lens for a whole ViT is one line: the model's own last norm and head, applied to every token after every block,
# instead of only to the class token after the last one.
#
# $$\text{lens}_k = \text{head}(\text{LN}(z_k)) \qquad \text{(equation 4 and the head, at } z_k \text{ instead of } z_L \text{)}$$

# %%
x = model.position(model.class_token(model.patch_embed(images)))  # [B, 50, D]: before the first block
by_loop = [model.head(model.norm(x))]  # [B, 50, 10]
with torch.no_grad():
    for block in model.blocks:
        x = block(x)
        by_loop.append(model.head(model.norm(x)))

lens = logit_lens(model, images)  # [7, B, 50, 10]: after 0 to 6 blocks
print(list(lens.shape), "same as the loop:", torch.allclose(torch.stack(by_loop), lens, atol=1e-5))
print("after 6 blocks, token 0 is the model's answer:", torch.allclose(lens[-1, :, 0], model(images), atol=1e-5))

# %% [markdown]
# How often would the answer be right after each block? Read from the class token, and from one patch alone. The control is
# the same model without training: whatever *it* shows comes from the architecture, and not from what was learned.

# %%
torch.manual_seed(0)
untrained = ViT(model.config).eval()
untrained.card = model.card


def accuracy(logits, labels=labels):  # [..., B, K] -> [...]
    return (logits.argmax(dim=-1) == labels).float().mean(dim=-1)


lens_0 = logit_lens(untrained, images)
curves = {
    "class token": accuracy(lens[:, :, 0]),
    "one patch (mean of 49)": torch.stack([accuracy(lens[:, :, i]) for i in range(1, 50)]).mean(dim=0),
    "class token, untrained": accuracy(lens_0[:, :, 0]),
}
for name, values in curves.items():
    print(f"{name:<24}", "  ".join(f"{value:4.0%}" for value in values))

# %%
figure, axes = plots.new_figure(1, 1, size=(7, 3.2))
plots.draw_lines(axes[0, 0], range(7), curves, "blocks", "right answers", marker="o")
axes[0, 0].set_ylim(0, 1)
plots.show(
    figure,
    alt="Three lines over the number of blocks. The class token rises from 10 percent to above 90, one patch from 10 to about two thirds, the untrained model stays at 10.",
    caption="The lens on 300 test pictures. Guessing is right for one in ten.",
)

# %% [markdown]
# The answer does not come at once, and not at the end: it grows from block to block. Patches can be read too, although
# the head never saw a patch in training.
#
# **What this does not prove.** The lens shows what can be *read* after block 3. It does not show that the model *uses* it.
# Something may lie there and never be looked at again. For that we must change it, and see what happens.

# %% [markdown]
# ## Where does the knowledge sit?
#
# Take two pictures, a sneaker and a bag. Run both. After block k, take the class token of the sneaker out, put the one of
# the bag in, and let the rest of the model go on. Which answer comes? If the class token carries the answer, the model now
# says *bag*. Then do it the other way round: keep the class token, and exchange the 49 patches. This is called
# **activation patching**. (The word has nothing to do with the patches of a picture.)

# %%
bag = images[18:19]
print("the answer for the sneaker, with something of the bag put in after k blocks")
print(f"{'k':<4}{'class token of the bag':<26}{'patches of the bag'}")
for k in range(7):
    exchanged = [patch_tokens(model, sneaker, k, tokens, bag) for tokens in (slice(0, 1), slice(1, None))]
    said = [names[logits.argmax()] for logits in exchanged]
    print(f"{k:<4}{said[0]:<26}{said[1]}")

# %% [markdown]
# Before the first block the class token is the same for both, so exchanging it changes nothing: all is in the patches.
# After the last block only the class token is read: all is in there. In between the knowledge moves.
#
# One pair of pictures may be an accident. The record holds 1,000 test pictures, each exchanged with the next one. It was
# made by `python -m vit_tutorial.studies patching`. And it holds three kinds of exchange, since one can put in zeros, the
# mean over all pictures, or what another picture has there.

# %%
study = load_study("patching")
kinds = {"zero": "zeros", "mean": "the mean", "other": "another picture's"}
figure, axes = plots.new_figure(1, 3, size=(11, 3.2), sharey=True)
for ax, (kind, words) in zip(axes[0], kinds.items(), strict=True):
    lines = {what: study.mean(f"{what}, {kind}", "accuracy") for what in ("class token", "patches")}
    plots.draw_lines(ax, range(7), lines, "exchanged after so many blocks", "still right", marker="o")
    ax.set_title(words, fontsize=10)
    ax.set_ylim(0, 1)
plots.show(
    figure,
    alt="Three plots for three kinds of exchange. In each, the line of the class token falls from left to right, and the line of the patches rises; they cross in the middle.",
    caption="How often the model is still right when the class token, or all patches, are exchanged after k blocks. 1,000 pictures of clothes.",
)

# %% [markdown]
# The lines cross. To the left of the crossing the answer sits in the patches, to the right in the class token. But look at
# the scales: with zeros, the model fails even before block 1, where the class token knows nothing at all. A token of zeros
# is something that the model has never met, and it stumbles over that. With the mean it stumbles less. Another picture's
# token is always a real one: it does not only take knowledge away, it brings false knowledge. So **name the kind of
# exchange, or the number means nothing**. The same three kinds for whole blocks of heads, as the record has them:

# %%
print(f"{'all heads of block':<20}" + "".join(f"{block:>6}" for block in range(1, 7)))
for kind, words in kinds.items():
    right = study.mean(f"heads, {kind}", "accuracy")
    print(f"{words:<20}" + "".join(f"{value:>6.0%}" for value in right))

# %% [markdown]
# Does the model need the heads of block 1? With the mean of the pictures in their place it loses a few points, with
# another picture's it loses nearly half. Both are true. They answer different questions: *does it need what these heads
# say about this picture*, and *can it be led astray through them*.

# %% [markdown]
# ## In a picture you can touch
#
# LensLab runs the model in your browser. Choose a block and a token, and read it through the lens. Then put the token of
# another picture in, and watch the answer below.
#
# **Try this.**
#
# 1. Token 0, the class token: go from block 0 to block 6. When does it know?
# 2. A patch on the sole, and one in the black corner. Which of them can be read, and after how many blocks?
# 3. Swap token 0 after block 1, and after block 5. When does the answer follow?
# 4. Swap *all patches* instead. Find the block where neither swap alone turns the answer round.

# %%
shown = {"sneaker": 9, "bag": 18, "trouser": 2, "coat": 6}  # the name of a picture, and its number in the test set
LensLab(model, {name: data.test_images[number] for name, number in shown.items()})

# %% [markdown]
# ## Do attention maps show what decided?
#
# Here are six ways to rank the 49 patches of a picture. All give one number for each patch, larger is more important.

# %%
maps = attention_maps(model, images)  # 6 of [B, h, 50, 50]


def rankings(model, images, pixels, maps):  # each [B, N]
    return {
        "attention, last block": maps[-1].mean(dim=1)[:, 0, 1:],
        "attention, mean of blocks": torch.stack(maps).mean(dim=(0, 2))[:, 0, 1:],
        "rollout": attention_rollout(maps)[:, 0, 1:],
        "gradient x input": gradient_times_input(model, images),
        "occlusion": occlusion(model, images),
        "brightness, without a model": patchify(pixels.float(), model.config.patch_size).mean(dim=-1),
    }


few = slice(9, 10)
ranked = rankings(model, images[few], data.test_images[few], [m[few] for m in maps])
figure, axes = plots.new_figure(1, 6, size=(12, 2.5))
for ax, (name, values) in zip(axes[0], ranked.items(), strict=True):
    plots.draw_attention(ax, data.test_images[9], values[0].clamp(min=0).reshape(7, 7), name.replace(", ", "\n"))
plots.show(
    figure,
    alt="Six maps of the same sneaker with bright and dark patches. They disagree about which patches are bright.",
    caption="Six methods, one picture. They cannot all be right.",
)

# %% [markdown]
# *Rollout* multiplies the maps of all blocks, with half of each block for the residual connection (Abnar and Zuidema
# 2020): what reaches the class token from each patch, if attention were all there is. *Gradient × input* asks how the logit
# changes when a pixel does. *Occlusion* covers one patch after the other. *Brightness* is our control. It knows nothing of
# the model: it says that bright patches matter.
#
# The test is simple. **Cover the patches that a method ranks highest, and watch the probability.** A method that knows
# what decided makes it fall fast. This is called *deletion* (Petsiuk et al. 2018). The patches of a black background are
# black, so black covers nothing there; therefore we also cover with the mean of the training pictures, and with noise.

# %%
counts = [0, 1, 2, 5, 10, 20, 30, 40]
torch.manual_seed(0)
first = slice(0, 50)
ranked = rankings(model, images[first], data.test_images[first], [m[first] for m in maps])
ranked["random"] = torch.rand(50, 49)
falls = {name: deletion_curve(model, images[first], ranking, counts).mean(dim=0) for name, ranking in ranked.items()}
print(f"{'covered':<30}" + "".join(f"{count:>6}" for count in counts))
for name, fall in falls.items():
    print(f"{name:<30}" + "".join(f"{value:>6.0%}" for value in fall))

# %% [markdown]
# Fifty pictures, one way of covering, one model: too little for a verdict. The record has 1,000 test pictures of clothes
# and 1,000 photographs (`python -m vit_tutorial.studies faithfulness`), each covered in three ways. The photographs are
# those of CIFAR-10, and the model is the one of lesson 11. It has no class token, so *where it looks* means the mean over
# all patches.

# %%
study = load_study("faithfulness")
fills = {"mean": "covered with the mean", "black": "with black", "noise": "with noise"}
pictures_of = {"fashion_mnist": "clothes", "cifar10": "photographs"}
figure, axes = plots.new_figure(2, 3, size=(11, 6.4), sharey=True)
for row, (source, words) in zip(axes, pictures_of.items(), strict=True):
    for ax, (fill, how) in zip(row, fills.items(), strict=True):
        lines = {method: study.mean(f"{source}, {fill}, {method}", "probability") for method in study.methods}
        plots.draw_lines(ax, study.counts, lines, "covered patches", "probability of the class")
        ax.set_title(f"{words}, {how}", fontsize=10)
        ax.set_ylim(0, 1)
plots.show(
    figure,
    alt="Six plots of falling lines, one for each method. Occlusion always falls fastest and random slowest or nearly so. On clothes covered with black, brightness falls faster than every kind of attention.",
    caption="Deletion curves, mean of 1,000 pictures each. Lower is better: the method found what the answer needs.",
)
