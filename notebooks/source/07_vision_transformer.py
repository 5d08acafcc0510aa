# %% [markdown]
# # 7 · The Vision Transformer: all the parts together
#
# **The question.** You have patches, a class token, positions, attention with many heads, and the block around it. A
# picture goes in and tokens that know of each other come out. *What is left between the parts we have and the whole model
# of the paper, which says "cat"?*
#
# **What you will do**
#
# 1. Put all the boxes you have met together: the whole model.
# 2. Follow one tiny picture through every step, down to the two probabilities.
# 3. Count the parameters of ViT-B, L and H, and see where they sit.
# 4. Load torchvision's ViT-B/16 into yours, and get the same logits.
# 5. Put an attention of your own into the model, and train it a little.
#
# **Time**: 45 minutes. **You need**: lessons 1 to 6.

# %%
import math

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from vit_tutorial import ViT, ViTConfig, count_parameters, load_weights, plots
from vit_tutorial.datasets import load, pictures
from vit_tutorial.exercises import check

torch.set_num_threads(1)  # the same numbers on every machine

# %% [markdown]
# ## The map
#
# ![A map of the Vision Transformer. Top: an image in nine patches, patch embedding, a row of tokens with the class token in front and positions added, a stack of encoder blocks, a norm, and a head that reads only the class token and gives logits. Bottom: one encoder block. z goes through a norm and multi-head attention and is added again; the sum goes through a norm and the MLP and is added again.](figures/vision_transformer.svg)
#
# You have met every box: the **head** in lesson 2, the norm, the MLP and the plus signs in lesson 6. In short: the **norm**
# brings each token to mean 0 and variance 1, and the **MLP** works on each token alone. What attention and MLP say is
# *added* to the token that came in, which are the two **plus signs**:
#
# $$z' = \text{MSA}(\text{LN}(z)) + z \qquad \text{(equation 2)}$$
# $$z'' = \text{MLP}(\text{LN}(z')) + z' \qquad \text{(equation 3)}$$

# %% [markdown]
# ## In code: the whole model
#
# A block takes [B, N+1, D] and gives [B, N+1, D]. So we can stack as many as we like. After the last one comes one
# more norm. Then the **head**, a single linear layer, reads the class token and gives one number for each class: the
# *logits*. Softmax would turn them into probabilities.
#
# | equation | in the paper | in `vit.py` |
# |---|---|---|
# | 1 | z₀ = [x_class; x_p¹E; …; x_pᴺE] + E_pos | `patch_embed`, `class_token`, `position` |
# | 2, 3 | the block, L times | `blocks` |
# | 4 | y = LN(z_L⁰) | `norm`, then token 0 |
# | text of section 3.1 | classification head | `head` |
#
# Build a ViT-B/16, give it the cat, and let it say every step. It is untrained: shapes are all we can learn from it.

# %%
torch.manual_seed(0)
model = ViT.from_name("ViT-B/16").eval()
cat = pictures("chelsea")[None].float() / 255  # [1, 3, 224, 224]
with torch.no_grad():
    stages = model.forward_intermediates(cat)

meaning = {"patches": "N = 14·14 rows of 16·16·3 pixels", "patch_embed": "each row becomes D numbers"}
meaning |= {"class_token": "one token more", "position": "+ E_pos, equation 1", "norm": "LN"}
meaning |= {"pool": "the class token, equation 4", "pre_logits": "as it is (see below)", "logits": "one number a class"}
for name, value in {"images": cat, **stages}.items():
    print(f"{name:<12}{list(value.shape)!s:<18}{meaning.get(name, 'equations 2 and 3' if 'blocks' in name else '')}")

# %% [markdown]
# Look down the column of shapes. From `position` to `norm`, through twelve blocks, nothing changes: [1, 197, 768].
#
# ## One picture, to the last number
#
# Now a model so small that you can watch every number. A 16×16 picture of the cat, patches of 4×4, so N = 16 patches.
# D = 8 numbers per token, one block, two heads, two classes: cat or dog.
#
# We choose two things so that you can begin with a pencil. The first patch shall become
# [0.2, −0.5, 0.8, 0.1, −0.3, 0.6, 0.9, −0.2], and its position shall be [0.1, 0.2, −0.1, 0.3, −0.2, 0.4, 0.1, −0.3]. All
# other numbers are random and **untrained**. So the answer will mean nothing; the way to it is the real one.

# %%
torch.manual_seed(0)
tiny = ViT(ViTConfig(image_size=16, patch_size=4, num_classes=2, dim=8, depth=1, num_heads=2)).double().eval()
picture = pictures("chelsea", size=16)
image = picture[None].double() / 255  # [1, 3, 16, 16]

first_patch = torch.tensor([0.2, -0.5, 0.8, 0.1, -0.3, 0.6, 0.9, -0.2], dtype=torch.float64)
its_position = torch.tensor([0.1, 0.2, -0.1, 0.3, -0.2, 0.4, 0.1, -0.3], dtype=torch.float64)
with torch.no_grad():
    for weight in tiny.parameters():
        if weight.ndim > 1:
            weight.normal_(std=0.25)  # ten times the usual, so that two decimals show something
    tiny.patch_embed.proj.bias += first_patch - tiny.patch_embed(image)[0, 0]
    tiny.position.pos_embed[0, 1] = its_position  # place 0 belongs to the class token


# %%
def say(name, numbers):
    print(f"{name:<24}", " ".join(f"{round(n, 2) + 0.0:6.2f}" for n in numbers.tolist()))  # + 0.0: no minus zero


with torch.no_grad():
    z = tiny.patch_embed(image)  # [1, 16, 8]
    print("16 patches:", list(z.shape))
    say("first patch", z[0, 0])
    z = tiny.class_token(z)  # [1, 17, 8]
    print("16 -> 17 tokens:", list(z.shape))
    say("class token", z[0, 0])
    z = tiny.position(z)  # [1, 17, 8]
    say("+ position: class", z[0, 0])
    say("+ position: patch", z[0, 1])

# %% [markdown]
# Check the last line with a pencil: 0.2 + 0.1 = 0.3, −0.5 + 0.2 = −0.3, and so on.
#
# Next the block, equation 2. We follow the first patch, which is token 1. Check the norm too: its eight numbers must
# add up to 0, apart from rounding.

# %%
block = tiny.blocks[0]
with torch.no_grad():
    normed = block.norm1(z)
    say("norm of the patch", normed[0, 1])
    message, weights = block.attn(normed, return_weights=True)  # [1, 17, 8], [1, 2, 17, 17]
    for head in range(2):
        say(f"head {head}: looks at 0-7", weights[0, head, 1, :8])
        say("            and at 8-16", weights[0, head, 1, 8:])
    say("attention says", message[0, 1])
    z = z + message
    say("equation 2: z'", z[0, 1])

# %% [markdown]
# To an untrained head one patch is much like another: most weights lie around 1/17 = 0.06. The class token, number 0,
# looks like no patch, so it can stand out: head 1 nearly overlooks it, by chance.
#
# Then equation 3, where each token is alone, and 8 numbers become 32 and 8 again:

# %%
with torch.no_grad():
    hidden = F.gelu(block.mlp.fc1(block.norm2(z)))  # [1, 17, 32]
    say("8 of the 32 hidden", hidden[0, 1, :8])
    correction = block.mlp.fc2(hidden)  # [1, 17, 8]
    say("the MLP says", correction[0, 1])
    z = z + correction
    say("equation 3: patch", z[0, 1])
    say("            class", z[0, 0])

# %% [markdown]
# The patch has done its work: others have looked at it. From here on only the class token counts.

# %%
with torch.no_grad():
    y = tiny.norm(z)[:, 0]  # equation 4: [1, 17, 8] -> [1, 8]
    say("equation 4: y", y[0])
    logits = tiny.head(y)  # [1, 2]
    say("logits cat, dog", logits[0])
    cat_or_dog = logits.softmax(dim=-1)[0]
    print(f"{cat_or_dog[0]:.0%} cat, {cat_or_dog[1]:.0%} dog")
    print("the model itself says the same:", torch.allclose(tiny(image), logits))

# %% [markdown]
# It sounds sure of itself, and it has learned nothing: a probability is worth what the training behind it is worth.
# Lesson 11 trains a model.
#
# So much for one patch. Here are all 17 tokens with their 8 numbers, a row each, on the way through:

# %%
with torch.no_grad():
    steps = tiny.forward_intermediates(image)
figure, axes = plots.new_figure(1, 4, size=(11, 4.2), width_ratios=[2, 1, 1, 1])
plots.draw_patches(axes[0, 0], picture, 4, "16×16 pixels, 16 patches")
titles = {"position": "into the block", "blocks.0": "out of it", "norm": "after the last norm"}
rows = ["cls", *map(str, range(16))]
for ax, (name, title) in zip(axes[0, 1:], titles.items(), strict=True):
    options = {"decimals": None, "cmap": "RdBu_r", "vmin": -2.5, "vmax": 2.5, "aspect": "auto"}
    plots.draw_matrix(ax, steps[name][0], title, rows=rows, **options)
plots.show(
    figure,
    alt="Left, a cat of 16 by 16 pixels in 16 numbered patches. Right, three tables of 17 tokens by 8 numbers: into the block the patches look much alike and the class token differs; after the block and the norm every row has strong colours.",
    caption="Red is positive, blue negative, white zero. The top row is the class token: the head reads its last colours. Patch 0 is token 1, the one we followed.",
)

# %% [markdown]
# ## Claims, tested
#
# **"ViT-B, L and H have 86, 307 and 632 million parameters"** (table 1 of the paper). We build them on PyTorch's `meta`
# device: all shapes, but no memory. And we ask torchvision for its count.

# %%
paper = {"B/16": 86, "L/16": 307, "H/14": 632, "B/32": 86, "L/32": 307}
with torch.device("meta"):
    models = {name: ViT.from_name(f"ViT-{name}") for name in paper}
    theirs = {name: torchvision.models.get_model(f"vit_{name.replace('/', '_').lower()}") for name in paper}
print(f"{'ViT-':<6}{'parameters':>14}{'torchvision':>14}{'paper':>8}{'difference':>12}")
for name, model in models.items():
    ours = count_parameters(model)
    difference = ours / 1e6 / paper[name] - 1
    print(f"{name:<6}{ours:>14,}{count_parameters(theirs[name]):>14,}{paper[name]:>6} M{difference:>12.1%}")
print("verdict: TRUE for patches of 16 (B, L) and 14 (H), to 1%")

# %% [markdown]
# Table 1 gives one number for each size, and does not say for which patches. Ours have a head for 1,000 classes. For B
# the count with P = 16 comes nearer to the paper's, for L the one with P = 32.
#
# Where do they sit? As counted in lesson 6, the MLP holds two thirds of a block. The bars of ViT-B/16:

# %%
model = models["B/16"]
parts = {
    "patch embedding": model.patch_embed,
    "class token, positions": nn.ModuleList([model.class_token, model.position]),
    "12 × attention": nn.ModuleList([b.attn for b in model.blocks]),
    "12 × MLP": nn.ModuleList([b.mlp for b in model.blocks]),
    "25 norms": nn.ModuleList([model.norm, *[n for b in model.blocks for n in (b.norm1, b.norm2)]]),
    "head": model.head,
}
counts = {name: count_parameters(part) for name, part in parts.items()}
print("the parts add up to the whole:", sum(counts.values()) == count_parameters(model))

# %%
figure, axes = plots.new_figure(size=(8, 2.8))
bars = axes[0, 0].barh(list(counts), [count / 1e6 for count in counts.values()], color=plots.BLUE)
axes[0, 0].bar_label(bars, [f"{count:,}" for count in counts.values()], padding=4)
axes[0, 0].set_xlabel("million parameters")
axes[0, 0].set_xlim(0, 70)
axes[0, 0].invert_yaxis()
axes[0, 0].spines[["top", "right"]].set_visible(False)
plots.show(
    figure,
    alt="Bars: the 12 MLPs of ViT-B/16 hold 56.7 million parameters, the 12 attentions 28.3 million, everything else together 1.5 million.",
)

# %% [markdown]
# **"The head is Linear + tanh + Linear in pre-training, and one Linear afterwards"** (section 3.1; the tanh is in Google's
# code). **Pre-training** is the first, long training, on very many images: here ImageNet-21k, with its 21,843 classes.
# **Fine-tuning** goes on from there for a short time, on the smaller task that one wants solved, with its own classes. For
# that the whole head is thrown away, and a new one starts. The size of the hidden layer is `representation_size`.

# %%
with torch.device("meta"):
    pretraining = ViT.from_name("ViT-B/16", num_classes=21_843, representation_size=768)
print("pre-training:", pretraining.pre_logits, "then", pretraining.head)
print("afterwards:  ", models["B/16"].pre_logits, "then", models["B/16"].head)
print("verdict: TRUE, and `representation_size` switches it on here")

# %% [markdown]
# **"This is the real ViT."** The best test: take torchvision's ViT-B/16, copy all its numbers into ours, and show both
# the cat. We take random numbers, so nothing is downloaded. With trained ones it works in the same way: pass
# `load_weights` the `state_dict` of any torchvision or timm ViT of this shape, or its `.safetensors` file.

# %%
torch.manual_seed(0)
theirs = torchvision.models.vit_b_16(weights=None).eval()
nn.init.normal_(theirs.heads.head.weight, std=0.02)  # torchvision starts the head at 0, which would hide everything
with torch.device("meta"):
    ours = ViT.from_name("ViT-B/16")
ours = load_weights(ours.to_empty(device="cpu"), theirs.state_dict()).eval()
print(f"{count_parameters(ours):,} numbers copied")

# %%
with torch.no_grad():
    our_logits, their_logits = ours(cat), theirs(cat)  # [1, 1000] each
print(f"spread of the logits above 0.1: {their_logits.std().item() > 0.1}")
print(f"largest difference below 0.00001: {(our_logits - their_logits).abs().max().item() < 1e-5}")
print("verdict: TRUE")

# %% [markdown]
# ## Put your own part in
#
# Every part of `ViT` can be another class. Here is an attention in the plainest form: three separate linear layers, a
# reshape and a transpose, and the formula of lesson 4. It must take (dim, num_heads, qkv_bias) and turn [B, N, D] into
# [B, N, D]. That is all. Change it as you like: leave out the scaling, add a mask, try one head.


# %%
class MyAttention(nn.Module):
    def __init__(self, dim, num_heads, qkv_bias=True):
        super().__init__()
        self.h = num_heads
        self.q, self.k, self.v = (nn.Linear(dim, dim, bias=qkv_bias) for _ in range(3))
        self.out = nn.Linear(dim, dim)

    def forward(self, x):
        B, N, D = x.shape
        q, k, v = (f(x).reshape(B, N, self.h, D // self.h).transpose(1, 2) for f in (self.q, self.k, self.v))
        weights = (q @ k.transpose(-2, -1) / math.sqrt(D // self.h)).softmax(dim=-1)  # [B, h, N, N]
        return self.out((weights @ v).transpose(1, 2).reshape(B, N, D))


# %% [markdown]
# Does it learn? A good first test of any model: can it learn one small batch by heart? If not, something is broken.

# %%
data = load("fashion_mnist")
images, labels = data.normalize(data.train_images[:64]), data.train_labels[:64]  # [64, 1, 28, 28], [64]
torch.manual_seed(0)
config = ViTConfig(image_size=28, patch_size=7, in_channels=1, num_classes=10, dim=64, depth=2, num_heads=4)
mine = ViT(config, attention=MyAttention)
optimizer = torch.optim.AdamW(mine.parameters(), lr=2e-3)
losses = []
for _ in range(60):
    loss = F.cross_entropy(mine(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

# %%
print(f"loss at the start near ln 10 = {math.log(10):.1f}: {abs(losses[0] - math.log(10)) < 0.5}")
print(f"loss at the end below 0.1: {losses[-1] < 0.1}")
print("all 64 right:", bool((mine(images).argmax(dim=1) == labels).all()))
figure, axes = plots.new_figure(size=(6, 2.6))
plots.draw_lines(axes[0, 0], range(60), {"ViT with my attention": losses}, "step", "loss")
plots.show(
    figure, alt="The loss of a ViT with the attention above, on 64 pictures: from 2.3 it falls to nearly 0 in 60 steps."
)

# %% [markdown]
# Learning 64 pictures by heart says nothing about new pictures. It says that the parts fit together, and can learn.

# %% [markdown]
# ## Exercise: write `forward`
#
# Difficulty 3 of 5, about 10 minutes. You get a model with all its parts, and images [B, C, H, W]. Give the logits
# [B, num_classes], without calling `model(images)`. The parts are `model.patch_embed`, `model.class_token`,
# `model.position`, `model.blocks` (a list of blocks), `model.norm` and `model.head`.
#
# <details><summary>Hint 1</summary>
#
# Walk through the map from left to right. Each part takes what the part before it gave. The positions are for N+1 tokens,
# so the class token has to be there already.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `for block in model.blocks: x = block(x)`. After the norm, x is [B, N+1, D]. The class token of every image is
# `x[:, 0]`.
#
# </details>


# %% tags=["exercise"]
def my_forward(model, images): ...


check.vit_forward(my_forward)

# %% [markdown]
# The solution is in the next cell, folded.


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_forward(model, images):
    x = model.patch_embed(images)  # [B, N, D]
    x = model.position(model.class_token(x))  # [B, N+1, D]   equation 1
    for block in model.blocks:
        x = block(x)  # equations 2 and 3
    x = model.norm(x)
    return model.head(x[:, 0])  # [B, num_classes]            equation 4 and the head


check.vit_forward(my_forward)

# %% [markdown]
# ## What to remember
#
# 1. The order: patches, class token, positions, L blocks, one more norm, and the head, which reads the class token.
# 2. The logits of an untrained model mean nothing, however sure they sound.
# 3. ViT-B, L and H have 86, 307 and 632 million parameters. Nearly all sit in the blocks.
# 4. Weights load by name: with torchvision's numbers, this model gives torchvision's logits.
# 5. Any part can be swapped, if it takes and gives the same shapes.
#
# | step | shape |
# |---|---|
# | images | [B, C, H, W] |
# | patch embedding | [B, N, D] |
# | class token, positions | [B, N+1, D] |
# | each block, and the norm | [B, N+1, D] |
# | class token | [B, D] |
# | logits | [B, num_classes] |
#
# **Three questions.**
#
# <details><summary>In which part of a block can a token learn something about another token?</summary>Only in attention.
# Norm, MLP and the additions work on each token alone.</details>
# <details><summary>You double the number of blocks. What happens to the shape of the output?</summary>Nothing. A block
# gives the shape that it takes.</details>
# <details><summary>Does it matter whether the last norm comes before or after you pick token 0?</summary>No. The norm
# treats each token alone, so it gives the class token the same numbers either way.</details>
#
# **Next**: the model is whole, and knows nothing. Lesson 11 trains it.
#
# **Read on**: Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words*, section 3.1 and table 1 · the code of this lesson:
# `vit_tutorial/vit.py`.
