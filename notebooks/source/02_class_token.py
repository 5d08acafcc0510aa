# %% [markdown]
# # 2 · The class token: one vector answers for the image
#
# **The question.** After lesson 1 a picture is a sequence of 196 tokens, one for each small square. But the answer
# "cat" is about the whole picture. *Which token answers for the whole image?* The one with the left eye? The first?
# None of them, said the authors of ViT: they put one more token in front, for this job alone.
#
# **What you will do**
#
# 1. Put a class token in front of two patches, with a pencil.
# 2. Do it for a batch in PyTorch.
# 3. Watch an empty vector become an answer, block by block, and switch the parts of the input off one by one.
# 4. Find out what the other 196 outputs are good for.
# 5. Do without a class token: take the mean. Compare both fairly.
#
# **Time**: 30 minutes, and 35 for the exercises; the last one is an extra. **You need**: lesson 1, and what a gradient
# is: it says how the loss changes when a number does.

# %%
import copy
from statistics import fmean

import torch
from einops import repeat
from torch import nn
from torch.nn import functional as F

from vit_tutorial import ClassToken, PatchEmbedding, ViT, ViTConfig, count_parameters, load_model, patchify, plots
from vit_tutorial.datasets import DATA_FOLDER, load, pictures
from vit_tutorial.evidence import compare, judge, with_error
from vit_tutorial.exercises import check
from vit_tutorial.explore import TokenTable
from vit_tutorial.studies import load_study

torch.set_num_threads(1)  # so that repeated runs agree

# %% jupyter={"source_hidden": true}
cat = pictures("chelsea")
squares = patchify(cat[None], 56)[0].reshape(16, 56, 56, 3)  # 16 large patches, for the drawing only
figure, axes = plots.new_figure(1, 17, size=(11, 1.1))
orange = torch.tensor([213, 94, 0], dtype=torch.uint8).view(3, 1, 1).expand(3, 56, 56)
plots.draw_image(axes[0, 0], orange, "0")
axes[0, 0].text(28, 28, "class", color="white", ha="center", va="center", fontsize=9)
for i in range(16):
    plots.draw_image(axes[0, i + 1], squares[i].permute(2, 0, 1), str(i + 1))
plots.show(
    figure,
    alt="A row of 17 squares: first an orange one called class, then the 16 patches of a cat.",
    caption="The sequence that the model reads. Token 0 shows nothing. Its output will be the answer.",
)

# %% [markdown]
# The orange token is called the **class token**, CLS for short. The idea comes from the language model BERT, which
# begins each text with a special word `[CLS]`.
#
# What is in it, if it shows nothing? How does it learn about the picture? And what are the other tokens for, if only
# this one is read?

# %% [markdown]
# ## By hand
#
# Two images. Each has N = 2 patches, and each patch is already a token of D = 2 numbers. The class token has two
# numbers as well: 7 and 8. Take a pencil and write the new sequence of each image.

# %%
tokens = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [0.0, 9.0]]])  # [B=2, N=2, D=2]
cls_token = torch.tensor([[[7.0, 8.0]]])  # [1, 1, D=2]

for image in tokens.tolist():
    print([cls_token[0, 0].tolist(), *image])

# %% [markdown]
# Each sequence has grown from 2 tokens to 3. And the class token is **the same in both**: it does not depend on the
# image.

# %% [markdown]
# ## In code
#
# $$z_0 = [\,x_{\text{class}};\; x_p^1 E;\; x_p^2 E;\; \cdots;\; x_p^N E\,]
# \qquad \text{(equation 1 of the paper, without its last term)}$$
#
# The semicolons say: one under the other. The number above is no power: $x_p^1$ is the first patch, which code calls
# patch 0.
#
# ### Naively: image by image

# %%
sequences = []
for image in tokens:  # [N, D]
    sequences.append(torch.cat([cls_token[0], image]))  # [1, D] and [N, D] -> [N+1, D]
by_loop = torch.stack(sequences)  # [B, N+1, D]
print(list(by_loop.shape))

# %% [markdown]
# ### Clearly: the whole batch at once
#
# `torch.cat` along the token axis, `dim=1`, can join all images in one step. But there are B images, and only one
# class token:

# %%
try:
    torch.cat([cls_token, tokens], dim=1)
except RuntimeError:
    print("refused:", list(cls_token.shape), "and", list(tokens.shape), "differ in B")

# %% [markdown]
# So it must be there once for each image. `einops` says it by name:

# %%
first = repeat(cls_token, "1 1 d -> b 1 d", b=tokens.shape[0])  # [1, 1, D] -> [B, 1, D]
by_einops = torch.cat([first, tokens], dim=1)  # [B, 1, D] and [B, N, D] -> [B, N+1, D]
print(by_einops.int())
print("same as the loop:", torch.equal(by_einops, by_loop))

# %% [markdown]
# ### As the library does it
#
# `expand` gives the same shape and copies nothing: both rows are the same two numbers in memory. The vector itself is
# an `nn.Parameter`, PyTorch's word for numbers that training may change.

# %%
first = cls_token.expand(tokens.shape[0], -1, -1)  # [1, 1, D] -> [B, 1, D]; -1 means: leave this axis as it is
by_expand = torch.cat([first, tokens], dim=1)  # [B, N+1, D]
print("same as by einops:", torch.equal(by_expand, by_einops))
print("still one vector in memory:", first.data_ptr() == cls_token.data_ptr())

# %% [markdown]
# These two lines and a parameter are all there is in the course's `ClassToken`:

# %%
module = ClassToken(dim=2)
with torch.no_grad():  # put our 7 and 8 in
    module.cls_token.copy_(cls_token)
print("same as by einops:", torch.equal(module(tokens), by_einops))
print("parameter:", list(module.cls_token.shape))

# %% [markdown]
# Here it meets the patches of the cat.

# %%
torch.manual_seed(0)
embedding = PatchEmbedding(image_size=224, patch_size=16, in_channels=3, dim=768)
token = ClassToken(dim=768)
x = cat[None].float() / 255  # [1, 3, 224, 224]
print(list(embedding(x).shape), "->", list(token(embedding(x)).shape))
print("patches untouched:", torch.equal(token(embedding(x))[:, 1:], embedding(x)))
print("parameters:", count_parameters(token))

# %% [markdown] tags=["extra"]
# *Extra: the same in torchvision.* We build its ViT, copy our numbers into it, and listen at the door of its encoder:
# what comes in must be our sequence.

# %% tags=["extra"]
from torchvision.models import VisionTransformer

theirs = VisionTransformer(image_size=224, patch_size=16, num_layers=1, num_heads=12, hidden_dim=768, mlp_dim=3072)
theirs.conv_proj.load_state_dict(embedding.proj.state_dict())
theirs.class_token.data.copy_(token.cls_token)

heard = []
theirs.encoder.register_forward_pre_hook(lambda module, inputs: heard.append(inputs[0]))
theirs(x)
print("torchvision:", list(heard[0].shape))
print(f"largest difference below 0.00001: {(heard[0] - token(embedding(x))).abs().max().item() < 1e-5}")

# %% [markdown]
# ## In pictures
#
# Now the course's small trained ViT. It reads 28×28 pictures of clothes as 49 patches and one class token.
# `forward_intermediates` gives the tokens at every stage, from the patches to the logits.
#
# Pixels are whole numbers from 0 to 255. `normalize` makes of them what the model was trained on: it divides by 255,
# subtracts the mean of the training pictures, and divides by their standard deviation. The model's `card` keeps these
# two numbers.

# %%
model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
images, labels = model.card.normalize(data.test_images[:500]), data.test_labels[:500]
by_hand = (data.test_images[:500] / 255 - model.card.mean[0]) / model.card.std[0]
print("normalize is no more than that:", torch.allclose(images, by_hand, atol=1e-6))
with torch.no_grad():
    stages = model.forward_intermediates(images)
for name in ("patch_embed", "class_token", "position", "blocks.0", "pool", "logits"):
    print(f"{name:<12}{list(stages[name].shape)}")

# %% [markdown]
# Four words for what stands there:
#
# * **Position.** To each token a vector is added that says where it belongs (lesson 3).
# * **Block.** In a block the tokens look at each other, and each one takes over what it needs. A block is also called a
#   *layer*; all of them together are the *encoder*. This model has 6. The text counts them from 1, code from 0: block 1
#   is `blocks.0`. Lessons 4 to 6 open them.
# * **Pool.** The model reads one vector: token 0 after the last block. A layer called LN brings it to a common scale.
# * **Head.** One linear layer turns this vector into 10 numbers, the *logits*, one for each class. (The *heads* that
#   lesson 1 mentioned belong to attention; this one is the classification head.)
#
# $$y = \text{LN}(z_L^0) \qquad \text{(equation 4: token 0 after block L, the last)}$$
#
# In $z_L^0$ the number below says after how many blocks (0 means before the first, as in equation 1). The number above
# says which token.
#
# How different are the class tokens of 500 pictures, stage by stage? And if the model had to answer right there, how
# often would it be right?

# %%
names = ["class_token", "position", *[name for name in stages if name.startswith("blocks")]]
spread, right = [], []
for name in names:
    z = stages[name][:, 0]  # [500, D]: the class token of each picture
    spread.append(z.std(dim=0).mean().item())  # 0 if it is the same for all pictures
    with torch.no_grad():
        logits = model.classify(model.norm(stages[name]))  # the model's own last norm and head, too early
    right.append((logits.argmax(dim=1) == labels).float().mean().item())

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 2, size=(10, 3.2))
for ax, values, label in zip(axes[0], (spread, right), ("spread over the pictures", "right answers"), strict=True):
    plots.draw_lines(ax, range(len(names)), {label: values}, "", label, marker="o")
    ax.set_xticks(range(len(names)), ["class token", "position", *[f"block {i}" for i in range(1, 7)]], rotation=30)
    ax.get_legend().remove()
    ax.set_ylim(bottom=0)
plots.show(
    figure,
    alt="Two rising lines over the stages: spread and right answers are lowest before block 1, highest after block 6.",
    caption="Left: how much class tokens differ from picture to picture. Right: how often the head is right if it reads here.",
)

# %% [markdown]
# Before the first block all class tokens are one and the same vector. It says nothing about any picture, so the model
# gives the same answer to all. Block by block it fills up.

# %% [markdown]
# ## In a picture you can touch
#
# Each line of the large table is one token of 64 numbers: the class token first, then the patches in reading order.
# Blue is negative, red is positive. Click the table and use the arrow keys, or use the mouse.
#
# 1. Take another *picture*. Which rows change, and which is the same for *every* picture?

# %%
shown = {"sneaker": 9, "bag": 18, "trouser": 2, "coat": 6}  # the name of a picture, and its number in the test set
TokenTable(model, {name: data.test_images[number] for name, number in shown.items()}, token=23)

# %% [markdown]
# 2. Move the slider *Look* on, one block at a time, and watch the first row. At which block does the head get it right?
# 3. Switch the *class token* off. What stands in row 0 now, and what does the head say when it reads it?
# 4. With the class token off, open *More* (`m`), and let the head read *the mean of the patches*. Are you surprised?
# 5. All back on, and *positions* off. Look at the black patches after block 1.
#
# <details><summary>What there is to see</summary>
#
# 1. The rows of patches that hold a piece of the sneaker or the bag. The class token is the same for every picture.
#    (Here the four corners are, too: they are black in all four pictures.)
# 2. Before block 1 it says *bag* to all four, so it is right of the bag by accident. Block 1 is mostly too early.
# 3. Patch 0, the black patch in the upper left corner. It was never trained to answer. Here it is right for three of
#    the four; of the 500 pictures below it gets most wrong.
# 4. It is mostly right, although the head never read a patch in training. In the blocks *all* tokens collect
#    from all. The class token is only the one that is asked.
# 5. Black patches all have the same row, and no block can tell them apart. Lesson 3 begins here.
#
# </details>
#
# Four pictures may be four accidents. Here are 500. The lines switch off one part each, and the columns say what the
# head reads. Behind the ± stands the *standard error*: 500 other pictures would move the accuracy by about as much.
# (For n pictures and an accuracy a it is √(a(1 − a)/n). Two right and two wrong answers are added first, so that it is
# never 0.)


# %%
@torch.no_grad()
def accuracy(patches=True, class_token=True, positions=True, read="row 0"):
    x = stages["class_token"].clone()  # [500, 50, D]
    x[:, 1:] *= patches
    x = x + model.position.pos_embed * positions
    x = model.norm(model.blocks(x if class_token else x[:, 1:]))
    answering = x[:, 0] if read == "row 0" else x[:, int(class_token) :].mean(dim=1)  # [500, D]
    return (model.head(answering).argmax(dim=1) == labels).float().mean().item()


print(f"{'switched off':<14}{'row 0':>14}{'mean of the patches':>22}")
for off in ("nothing", "class_token", "positions", "patches"):
    switches = {} if off == "nothing" else {off: False}
    row_0, mean = (with_error(accuracy(**switches, read=read), len(labels)) for read in ("row 0", "mean"))
    print(f"{off:<14}{row_0:>14}{mean:>22}")

# %% [markdown]
# Without patches there is nothing to see, and the model says the same to all: about one in ten is right. Without
# positions it is nearly lost. But without its class token it does surprisingly well, if one asks the patches together.
#
# ## Claims, tested
#
# ### "CLS is a learnable vector, prepended: 196 tokens become 197"
#
# You have seen the 197. Does it know anything of the picture before the first block, and does training reach it?

# %% tags=["claim-C1"]
before = stages["class_token"][:, 0]  # [500, D]
same = torch.equal(before, before[:1].expand_as(before))
print("the same for all 500 pictures, to the last bit:", same)

loss = F.cross_entropy(model(images[:8]), labels[:8])  # how wrong the answers are; lesson 11 has more
loss.backward()
gradient = model.class_token.cls_token.grad  # [1, 1, D]
reached = int(gradient.count_nonzero())
print("its gradient:", list(gradient.shape), "- numbers that are not 0:", reached)
alone = same and reached == model.config.dim
print(judge(alone, "it is one learned vector, without any picture in it until the first block"))

# %% [markdown]
# ### "There are N+1 outputs, and only the 0th is used"
#
# So we put random numbers in place of all the others, after the last block, and ask the head again.

# %%
outputs = stages["norm"][:8]  # [8, 50, D]: all tokens after the last block and its norm
torch.manual_seed(0)
ruined = torch.cat([outputs[:, :1], torch.randn_like(outputs[:, 1:])], dim=1)
with torch.no_grad():
    same = torch.equal(model.classify(outputs), model.classify(ruined))
print("49 outputs ruined; logits the same to the last bit:", same)

# %% [markdown]
# Are the patches of no use, then? We change one of them at the *input*: the patch in the middle becomes white.

# %%
painted = data.test_images[:8].clone()
painted[:, :, 12:16, 12:16] = 255  # patch 24, counted from 0
with torch.no_grad():
    change = (model(model.card.normalize(painted)) - model(images[:8])).abs().amax(dim=1)
moved = int((change > 0.01).sum())
print("pictures whose logits move by more than 0.01:", moved, "of 8")

# %% [markdown]
# One patch in, and the logits of all 8 pictures move. The way from the patch to token 0 leads through the blocks. Take
# them out, and the class token never hears of the picture:

# %% tags=["claim-C2"]
without_blocks = copy.deepcopy(model)
without_blocks.blocks = nn.Identity()
with torch.no_grad():
    logits = without_blocks(images)
deaf = torch.allclose(logits, logits[:1], rtol=0, atol=1e-5)
print("the same logits for all 500 pictures:", deaf)
alone = {"after the last block": same, "before the first": not (moved == 8 and deaf)}
print(judge(alone, "only the 0th token counts", holds="if"))

# %% [markdown]
# ### The alternative: take the mean
#
# One can do without a class token: average the outputs of all patches, and let the mean answer:
#
# $$y = \frac{1}{N} \sum_{i=1}^{N} \text{LN}(z_L^i)$$
#
# This is called *mean pooling*, or global average pooling (GAP). With a pencil: the patches `[2, 0]` and `[4, 6]` have
# the mean `[3, 3]`. In the course's model it is one word, `pool="mean"`.

# %%
torch.manual_seed(0)
size = {"image_size": 28, "patch_size": 7, "in_channels": 1, "num_classes": 10, "dim": 32, "depth": 2, "num_heads": 2}
with_cls, with_mean = ViT(ViTConfig(**size, pool="cls")), ViT(ViTConfig(**size, pool="mean"))
for name, vit in (("cls", with_cls), ("mean", with_mean)):
    norm = vit.forward_intermediates(images[:8])["norm"]
    ruined = torch.cat([norm[:, :1], torch.randn_like(norm[:, 1:])], dim=1)
    same = torch.equal(vit.classify(norm), vit.classify(ruined))
    print(f"{name:<5} tokens: {norm.shape[1]}, logits survive ruined outputs: {same}")
print("parameters saved:", count_parameters(with_cls) - count_parameters(with_mean), "= D and D for its position")

# %% [markdown]
# ### "CLS aggregates the image better than averaging"
#
# Let us race them: two such small models, 2,000 training pictures, 4 times through, two different random starts, 2,000
# test pictures.
#
# `race` builds one model, trains it, and returns its share of right answers. (Lesson 11 explains the loop.) One number
# matters here: the **learning rate** of lesson 1.

# %%
chosen = torch.randperm(10_000, generator=torch.Generator().manual_seed(0))[:2_000]
train_x, train_y = data.normalize(data.train_images[chosen]), data.train_labels[chosen]
test_x, test_y = data.normalize(data.test_images), data.test_labels


def race(pool, learning_rate, seed, epochs=4, **parts):
    torch.manual_seed(seed)
    vit = ViT(ViTConfig(**size, mlp_ratio=2, pool=pool), **parts)
    optimizer = torch.optim.AdamW(vit.parameters(), lr=learning_rate)
    for _ in range(epochs):  # times through the pictures
        for batch in torch.randperm(len(train_x)).split(50):
            loss = F.cross_entropy(vit(train_x[batch]), train_y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return (vit(test_x).argmax(dim=1) == test_y).float().mean().item()


# %%
slow = {pool: torch.tensor([race(pool, 0.0003, seed) for seed in range(2)]) for pool in ("cls", "mean")}
slow_gap = slow["cls"].mean() - slow["mean"].mean()
print("learning rate 0.0003: the class token wins with both seeds:", bool((slow["cls"] > slow["mean"]).all()))
print("... and by more than 2 points on average:", bool(slow_gap > 0.02))

# %% [markdown]
# A clear win, it seems. We give both a larger learning rate, and draw all eight trainings.

# %%
fast = {pool: torch.tensor([race(pool, 0.005, seed) for seed in range(2)]) for pool in ("cls", "mean")}
fast_gap = fast["cls"].mean() - fast["mean"].mean()
print("learning rate 0.005: the gap is smaller than it was:", bool(fast_gap.abs() < slow_gap))
print("both better than either was before:", bool(min(fast["cls"].mean(), fast["mean"].mean()) > slow["cls"].mean()))

# %% jupyter={"source_hidden": true}
results = {}
for rate, raced in ((0.0003, slow), (0.005, fast)):
    results[f"class token, {rate}"] = raced["cls"].tolist()
    results[f"mean, {rate}"] = raced["mean"].tolist()
figure, axes = plots.new_figure(size=(8, 2.4))
plots.draw_spread(axes[0, 0], results, colours=(plots.ORANGE, plots.BLUE))
plots.show(
    figure,
    alt="Four rows of points. At the small learning rate the class token is ahead; at the larger one both lie"
    " together.",
    caption="Orange: class token. Blue: mean. Each point is one training, each line the mean of the two. The "
    "number after the name is the learning rate.",
)

# %% [markdown]
# The gap at one learning rate was no property of the class token. Two seeds and 2,000 pictures are few, though. A
# larger race was run once and written down.

# %% jupyter={"source_hidden": true}
study = load_study("pooling")
accuracies = study.accuracies()
figure, axes = plots.new_figure(size=(8, 4.2))
plots.draw_spread(axes[0, 0], accuracies, colours=(plots.ORANGE, plots.BLUE))
plots.show(
    figure,
    alt="Rows of points, class token and mean for each learning rate. The rate moves them further than the kind does.",
    caption="Orange: class token. Blue: mean. The number after the name is the learning rate.",
)


# %% jupyter={"source_hidden": true}
gaps = {}
for rate in dict.fromkeys(name.split(", ")[1] for name in accuracies):
    gaps[rate] = fmean(accuracies[f"class token, {rate}"]) - fmean(accuracies[f"mean, {rate}"])
    print(f"learning rate {rate:<7} class token minus mean: {100 * gaps[rate]:+5.1f} points")
ahead = [100 * gap for gap in gaps.values() if gap > 0]
print(f"class token ahead at {len(ahead)} of {len(gaps)} rates, by {min(ahead):.1f} to {max(ahead):.1f} points")
print("at the largest rate the mean is ahead:", gaps[max(gaps, key=float)] < 0)
print("made by:", study.command)

# %% [markdown]
# A fair end of the race: each kind takes the learning rate that was best for *it* on the validation pictures. Then the
# test pictures judge, by the differences seed by seed.

# %% tags=["claim-C3"]
best = {kind: study.scores(kind) for kind in ("class token", "mean")}  # at the rate that validation chose
for kind, scores in best.items():
    values = list(scores.by_seed.values())
    print(f"{kind:<12}at {scores.rate.value:g}: {fmean(values):.1%} (seeds: {min(values):.1%} to {max(values):.1%})")
print(compare(*best.values(), "the class token aggregates better than the mean"))

# %% [markdown]
# The authors of ViT fell into this trap themselves, and say so. Their first try with the mean "performed very poorly",
# and they found that the difference is "fully explained by the requirement for a different learning-rate" (appendix
# D.3).
#
# **What this does not show.** Which of the two is better in a large model; nor that both are equally good: the interval
# leaves room for a small advantage of either. It does show that *one untested* learning rate for both is not a fair
# comparison.
#
# ### Two relatives
#
# * **Attention pooling**: a learned vector weighs the patches, and takes the mean in these weights (Lee et al. 2019,
#   *Set Transformer*, section 3.2). The last exercise builds it.
# * **Registers**: more learned tokens beside the class token, which the head never reads (Darcet et al. 2024). In many
#   trained ViTs some patches turn into a kind of note paper for the whole picture. Registers give the notes a place of
#   their own, and the attention maps become cleaner. Lesson 8 looks for such patches in the course's models.

# %% [markdown]
# ## Exercise: the class token in numbers
#
# Difficulty 1 of 5, about 3 minutes. Importance 2 of 3. A square image of `image_size` pixels is cut into patches of
# `patch_size`, and tokens have `dim` numbers. Return three whole numbers: how long the sequence is *with* the class
# token; which token of it (counted from 0) the head reads; and how many parameters the class token itself has, without
# its position.
#
# <details><summary>Hint 1</summary>
#
# 28×28 pixels with P = 4: 7 rows of 7 patches, and one token more.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The class token is one vector, the same for all images. How long is a token?
#
# </details>


# %% tags=["exercise"]
def count_class_token(image_size, patch_size, dim): ...  # return three numbers: length, place, parameters


check.count_class_token(count_class_token)

# %% [markdown]
# The solution is in the next cell, folded. It is the same with each exercise below.


# %% tags=["solution"] jupyter={"source_hidden": true}
def count_class_token(image_size, patch_size, dim):
    length = (image_size // patch_size) ** 2 + 1  # the patches and the class token
    return length, 0, dim


check.count_class_token(count_class_token)

# %% [markdown]
# ## Exercise: write `add_class_token`
#
# Difficulty 1 of 5, about 5 minutes. Importance 3 of 3. `tokens` is [B, N, D], `cls_token` is [1, 1, D]. Return [B,
# N+1, D].
#
# <details><summary>Hint 1</summary>
#
# First make one class token for each image: [1, 1, D] → [B, 1, D]. `expand` takes the new shape; −1 leaves an axis as
# it is.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Then `torch.cat([..., ...], dim=...)`. What comes first in the list comes first in the sequence. The axes are
# 0: B, 1: N, 2: D.
#
# </details>


# %% tags=["exercise"]
def add_class_token(tokens, cls_token):
    B, N, D = tokens.shape
    ...


check.add_class_token(add_class_token)


# %% tags=["solution"] jupyter={"source_hidden": true}
def add_class_token(tokens, cls_token):
    B, N, D = tokens.shape
    first = cls_token.expand(B, 1, D)  # [1, 1, D] -> [B, 1, D]
    return torch.cat([first, tokens], dim=1)  # [B, N+1, D]


check.add_class_token(add_class_token)

# %% [markdown]
# ## Exercise: read one vector
#
# Difficulty 2 of 5, about 6 minutes. Importance 3 of 3. `tokens` is [B, N+1, D], all outputs with the class token in
# front. Return [B, D]: the class token if `how` is `"cls"`, the mean of the patches, *without* the class token, if it
# is `"mean"`.
#
# <details><summary>Hint 1</summary>
#
# `tokens[:, 0]` takes token 0 of every image. `tokens[:, 1:]` takes all others.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `.mean(dim=...)` averages along one axis and removes it. Which axis counts the tokens?
#
# </details>


# %% tags=["exercise"]
def pool(tokens, how):
    if how == "cls":
        ...
    if how == "mean":
        ...


check.pool(pool)


# %% tags=["solution"] jupyter={"source_hidden": true}
def pool(tokens, how):
    if how == "cls":
        return tokens[:, 0]  # [B, N+1, D] -> [B, D]
    if how == "mean":
        return tokens[:, 1:].mean(dim=1)  # [B, N, D] -> [B, D]


check.pool(pool)

# %% [markdown]
# ## Exercise: your own `ClassToken`
#
# Difficulty 3 of 5, about 10 minutes. Importance 3 of 3. Now the whole part of the model, as a class that owns the
# vector, so that training can change it. It is built with `dim`, and called with tokens [B, N, D]; it returns [B,
# N+1, D].
#
# <details><summary>Hint 1</summary>
#
# In `__init__`, keep the vector as `self.cls_token = nn.Parameter(...)`, of shape [1, 1, D]. Zeros or small random
# numbers will do; training goes on from there.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `forward` is `add_class_token` once more, with `self.cls_token`.
#
# </details>


# %% tags=["exercise"]
class MyClassToken(nn.Module):
    def __init__(self, dim):
        super().__init__()
        ...

    def forward(self, tokens): ...


check.class_token(MyClassToken)

# %% [markdown]
# This cell puts *your* class into a small ViT and trains it for a moment.

# %%
if check.class_token(MyClassToken).passed:
    parts = {}

    def remember(dim):
        parts["token"] = MyClassToken(dim)
        parts["start"] = next(parts["token"].parameters()).detach().clone()
        return parts["token"]

    reached = race("cls", 0.005, seed=0, epochs=2, class_token=remember)
    changed = int((next(parts["token"].parameters()) != parts["start"]).sum())
    print("numbers of your class token that training changed:", changed, "of", size["dim"])
    print("right on more than half of the test pictures:", reached > 0.5)
else:
    print("Nothing to train yet: MyClassToken does not pass its check. Come back when it does.")


# %% tags=["solution"] jupyter={"source_hidden": true}
class MyClassToken(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)

    def forward(self, tokens):
        first = self.cls_token.expand(tokens.shape[0], -1, -1)  # [1, 1, D] -> [B, 1, D]
        return torch.cat([first, tokens], dim=1)  # [B, N+1, D]


check.class_token(MyClassToken)

# %% [markdown]
# ## Exercise: let a vector choose (an extra)
#
# Difficulty 4 of 5, about 10 minutes. Importance 1 of 3. *Attention pooling* is a mean in which some patches count more
# than others. A learned vector, the *query* q, decides.
#
# 1. Each token gets a score: its dot product with q. (Multiply number by number, and add up.)
# 2. Softmax turns the scores of one image into weights: $w_i = e^{s_i} / \sum_j e^{s_j}$, with e = 2.718… They are
#    positive and sum to 1.
# 3. The answer is the sum of all tokens, each times its weight.
#
# With a pencil: if q is all zeros, all scores are 0, all weights are 1/N, and the answer is the plain mean.
#
# `tokens` is [B, N, D], the patches alone; `query` is [D]. Return [B, D]. This is the heart of what happens in every
# block; lesson 4 takes it apart.
#
# <details><summary>Hint 1</summary>
#
# `tokens @ query` gives all scores at once, [B, N]. `scores.softmax(dim=...)`: over which axis must they sum to 1?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Weights [B, N] and tokens [B, N, D] do not fit yet: `weights[:, :, None]` is [B, N, 1]. Then multiply, and `sum` over
# the tokens.
#
# </details>


# %% tags=["exercise"]
def attention_pool(tokens, query): ...


check.attention_pool(attention_pool)


# %% tags=["solution"] jupyter={"source_hidden": true}
def attention_pool(tokens, query):
    scores = tokens @ query  # [B, N, D] @ [D] -> [B, N]
    weights = scores.softmax(dim=1)  # over the tokens of one image
    return (weights[:, :, None] * tokens).sum(dim=1)  # [B, N, 1] * [B, N, D] -> [B, D]


check.attention_pool(attention_pool)

# %% [markdown]
# ## What to remember
#
# 1. The class token is one learned vector of D numbers, the same for every image, in front of the patches.
# 2. Before the first block it knows nothing. The blocks let it collect from the patches.
# 3. The head reads token 0 of the last block, and no other. Yet all tokens collect: the mean of the patches knows the
#    answer too.
# 4. Mean pooling does the same job with no extra token.
# 5. At the best rate of each, no winner was shown. Compare two models only when each has its own best learning rate.
#
# | step | shape |
# |---|---|
# | tokens | [B, N, D] |
# | class token | [1, 1, D], expanded to [B, 1, D] |
# | with class token in front | [B, N+1, D] |
# | after each block | [B, N+1, D] |
# | what the head reads | [B, D] |
#
# **Five questions.** Three on this lesson, and two on lesson 1.
#
# <details><summary>A 384×384 image, P = 16, with a class token: how long is the sequence?</summary>24 · 24 + 1 =
# 577.</details>
# <details><summary>After training, two different pictures come in. Do their class tokens differ before the first
# block?</summary>No. Training changed the vector, but it is still one vector for all pictures.</details>
# <details><summary>Someone finds that the class token beats the mean by 4 points. What do you ask?</summary>At which
# learning rates, and with how many seeds? If only one rate was tried, or it was chosen for one of the two, the race was
# not fair.</details>
# <details><summary>You halve P in ViT-B/16, at 224×224 pixels. What happens to the number of tokens, and to the numbers in a token
# (lesson 1)?</summary>Four times as many patches, and one class token as before: 4 · 196 + 1 = 785 in place of 197. A token
# keeps its D = 768 numbers. Only a *patch* has a quarter of its pixels.</details>
# <details><summary>Can one get the picture back from the patches? And from the tokens behind the embedding
# (lesson 1)?</summary>From the patches always: cutting only moves pixels. From the tokens only if no two different patches can
# give the same one. With D smaller than P·P·C the matrix E must lose something.</details>
#
# **Next**: the model now has a sequence, and a token that answers. But does it know which patch was where? Lesson 3
# shuffles the cat.
#
# **Read on**: Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words*, section 3.1 and appendix D.3 · Devlin et al.
# 2019, *BERT*, for `[CLS]` · Lee et al. 2019, *Set Transformer* · Darcet et al. 2024, *Vision Transformers Need
# Registers* · the code of this lesson: `vit_tutorial/tokens.py`.
