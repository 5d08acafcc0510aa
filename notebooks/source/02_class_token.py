# %% [markdown]
# # 2 · The class token: one vector answers for the image
#
# **The question.** After lesson 1 a picture is a sequence of 196 tokens, and each of them stands for one small square.
# But the answer "cat" is about the whole picture. *Which token answers for the whole image?* The one with the left
# eye? The first? None of them, said the authors of ViT: they put one more token in front, for this job alone.
#
# **What you will do**
#
# 1. Put a class token in front of two patches, with a pencil.
# 2. Do it for a batch in PyTorch, and get the very tokens that torchvision's ViT makes.
# 3. Watch an empty vector become an answer, block by block.
# 4. Find out what the other 196 outputs are good for.
# 5. Do without a class token: take the mean. Compare both fairly.
#
# **Time**: 30 minutes. **You need**: lesson 1, and what a gradient is: it says how the loss changes when a number does.

# %%
import copy

import torch
from torch import nn
from torch.nn import functional as F

from vit_tutorial import ClassToken, PatchEmbedding, ViT, ViTConfig, attention_maps, count_parameters, load_model
from vit_tutorial import patchify, plots
from vit_tutorial.datasets import DATA_FOLDER, load, pictures
from vit_tutorial.exercises import check
from vit_tutorial.explore import AttentionLab

torch.set_num_threads(1)  # the same numbers on every machine

# %%
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
# Three questions follow at once. What is in it, if it shows nothing? How does it learn about the picture? And what are
# the other tokens for, if only this one is read?

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
# Two things to notice. Each sequence has grown from 2 tokens to 3. And the class token is **the same in both**: it
# does not depend on the image at all.

# %% [markdown]
# ## In code
#
# $$z_0 = [\,x_{\text{class}};\; x_p^1 E;\; x_p^2 E;\; \cdots;\; x_p^N E\,]
# \qquad \text{(equation 1 of the paper, without its last term)}$$
#
# The semicolons say: one under the other. In PyTorch this is `torch.cat` along the token axis, `dim=1`. But a batch
# has B images, and there is only one class token:

# %%
try:
    torch.cat([cls_token, tokens], dim=1)
except RuntimeError:
    print("refused:", list(cls_token.shape), "and", list(tokens.shape), "differ in B")

# %% [markdown]
# So it must be there once for each image. `expand` does this, and it copies nothing: both rows are the same two
# numbers in memory.

# %%
first = cls_token.expand(len(tokens), -1, -1)  # [1, 1, D] -> [B, 1, D]; -1 means: leave this axis as it is
sequence = torch.cat([first, tokens], dim=1)  # [B, 1, D] and [B, N, D] -> [B, N+1, D]
print(list(tokens.shape), "->", list(sequence.shape))
print("still one vector in memory:", first.data_ptr() == cls_token.data_ptr())
print(sequence.int())

# %% [markdown]
# These two lines are the course's `ClassToken`, plus one thing: the vector is an `nn.Parameter`. That is PyTorch's
# word for numbers that training may change. Here it meets the patches of the cat.

# %%
torch.manual_seed(0)
embedding = PatchEmbedding(image_size=224, patch_size=16, in_channels=3, dim=768)
token = ClassToken(dim=768)
x = cat[None].float() / 255  # [1, 3, 224, 224]
print(list(embedding(x).shape), "->", list(token(embedding(x)).shape))
print("patches untouched:", torch.equal(token(embedding(x))[:, 1:], embedding(x)))
print("parameters:", count_parameters(token))

# %% [markdown]
# **The same in torchvision.** We build its ViT, copy our numbers into it, and listen at the door of its encoder: what
# comes in must be our sequence. (One layer is enough here; the door comes before the layers.)

# %%
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
# ## An empty vector becomes an answer
#
# Now a model that was trained: the course's small ViT. It reads 28×28 pictures of clothes as 49 patches and one class
# token. `forward_intermediates` gives the tokens at every stage, from the patches to the logits.

# %%
model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
images, labels = model.card.normalize(data.test_images[:500]), data.test_labels[:500]
with torch.no_grad():
    stages = model.forward_intermediates(images)
for name in ("patch_embed", "class_token", "blocks.0", "pool", "logits"):
    print(f"{name:<12}{list(stages[name].shape)}")

# %% [markdown]
# Between `class_token` and `pool` the model has **blocks**. In a block the tokens look at each other, and each one
# takes over what it needs. Lessons 4 and 5 open the blocks; here they are closed boxes.
#
# The last line of the model reads token 0 alone. LN is a layer that brings each token to a common scale (the head of
# this course's model then turns y into 10 logits):
#
# $$y = \text{LN}(z_L^0) \qquad \text{(equation 4: token 0 after block L, the last)}$$
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

# %%
figure, axes = plots.new_figure(1, 2, size=(10, 3.2))
for ax, values, label in zip(axes[0], (spread, right), ("spread over the pictures", "right answers"), strict=True):
    plots.draw_lines(ax, range(len(names)), {label: values}, "", label, marker="o")
    ax.set_xticks(range(len(names)), [name.replace("blocks.", "block ") for name in names], rotation=30)
    ax.get_legend().remove()
    ax.set_ylim(bottom=0)
plots.show(
    figure,
    alt="Two rising lines over the stages. Spread and right answers are lowest before the first block and highest after the last.",
    caption="Left: how much class tokens differ from picture to picture. Right: accuracy if the head read the class token at this stage.",
)

# %% [markdown]
# Before the first block all class tokens are one and the same vector (`position` is the matter of lesson 3). It says nothing about any picture, so the model
# gives the same answer to all. Block by block it fills up.
#
# ## In a picture you can touch
#
# Where does it collect? The explorer shows how much each token takes from each patch. It opens on the **class token**.
# Choose another layer. (What exactly the weights are is the matter of lesson 4.)

# %%
maps = attention_maps(model, images[:1])  # one table per block and head
AttentionLab(data.test_images[0], [layer[0] for layer in maps], grid_size=model.grid_size, query=0)

# %% [markdown]
# ## Claims, tested
#
# **"CLS is a learnable vector, prepended: 196 tokens become 197."** You have seen the 197. Two things are left to
# check: does it know anything of the picture before the first block, and does training reach it?

# %%
before = stages["class_token"][:, 0]  # [500, D]
print("the same for all 500 pictures:", torch.equal(before, before[:1].expand_as(before)))

F.cross_entropy(model(images[:8]), labels[:8]).backward()
gradient = model.class_token.cls_token.grad  # [1, 1, D]
print("its gradient:", list(gradient.shape), "- numbers that are not 0:", int(gradient.count_nonzero()))
print("verdict: TRUE - one learned vector, without any picture in it until the first block")

# %% [markdown]
# **"There are N+1 outputs, and only the 0th is used."** So we put random numbers in place of all the others, after the
# last block, and ask the head again.

# %%
outputs = stages["norm"][:8]  # [8, 50, D]: all tokens after the last block
torch.manual_seed(0)
ruined = torch.cat([outputs[:, :1], torch.randn_like(outputs[:, 1:])], dim=1)
with torch.no_grad():
    same = torch.equal(model.classify(outputs), model.classify(ruined))
print("49 outputs ruined; logits the same to the last bit:", same)

# %% [markdown]
# Are the patches of no use, then? We change one of them at the *input*: the patch in the middle becomes white.

# %%
painted = data.test_images[:8].clone()
painted[:, :, 12:16, 12:16] = 255  # patch 24 of 49
with torch.no_grad():
    change = (model(model.card.normalize(painted)) - model(images[:8])).abs().amax(dim=1)
print("pictures whose logits move by more than 0.01:", int((change > 0.01).sum()), "of 8")

# %% [markdown]
# One patch in, and all the logits move. The way from the patch to token 0 leads through the blocks. Take them out, and
# the class token never hears of the picture:

# %%
without_blocks = copy.deepcopy(model)
without_blocks.blocks = nn.Identity()
with torch.no_grad():
    logits = without_blocks(images)
print("the same logits for all 500 pictures:", torch.allclose(logits, logits[:1], rtol=0, atol=1e-5))
print("verdict: TRUE for the outputs of the last block - but every patch counts as an input")

# %% [markdown]
# ### The alternative: take the mean
#
# One can do without a class token. Average the outputs of all patches, and let the mean answer:
#
# $$y = \frac{1}{N} \sum_{i=1}^{N} \text{LN}(z_L^i)$$
#
# This is called *mean pooling*, or global average pooling (GAP). In the course's model it is one word.

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
# **"CLS aggregates the image better than averaging."** Let us race them: the two small models above, 2,000 training
# pictures, 4 times through, three different random starts (*seeds*), 2,000 test pictures.
#
# You need not follow the loop in detail, lesson 11 is about training. One number matters here: the **learning rate**.
# It says how far each step changes the weights.

# %%
chosen = torch.randperm(10_000, generator=torch.Generator().manual_seed(0))[:2_000]
train_x, train_y = data.normalize(data.train_images[chosen]), data.train_labels[chosen]
test_x, test_y = data.normalize(data.test_images), data.test_labels


def race(pool, learning_rate, seed):
    torch.manual_seed(seed)
    vit = ViT(ViTConfig(**size, mlp_ratio=2, pool=pool))
    optimizer = torch.optim.AdamW(vit.parameters(), lr=learning_rate)
    for _ in range(4):  # times through the pictures
        for batch in torch.randperm(len(train_x)).split(50):
            loss = F.cross_entropy(vit(train_x[batch]), train_y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return (vit(test_x).argmax(dim=1) == test_y).float().mean().item()


# %%
slow = {pool: torch.tensor([race(pool, 0.0003, seed) for seed in range(3)]) for pool in ("cls", "mean")}
gap = slow["cls"].mean() - slow["mean"].mean()
print("learning rate 0.0003: the class token wins with every seed:", bool((slow["cls"] > slow["mean"]).all()))
print("... and by more than 2 points on average:", bool(gap > 0.02))

# %% [markdown]
# A clear win, it seems. One could stop here and believe it. We go on, and give both a larger learning rate.

# %%
fast = {pool: torch.tensor([race(pool, 0.005, seed) for seed in range(3)]) for pool in ("cls", "mean")}
gap = fast["cls"].mean() - fast["mean"].mean()
print("learning rate 0.005: less than 3 points between the two:", bool(gap.abs() < 0.03))
print("both better than either was before:", bool(min(fast["cls"].mean(), fast["mean"].mean()) > slow["cls"].mean()))

# %%
figure, axes = plots.new_figure(size=(7, 3.2))
ax = axes[0, 0]
for place, result in enumerate((slow, fast)):
    for offset, pool, colour in ((-0.12, "cls", plots.BLUE), (0.12, "mean", plots.ORANGE)):
        y = result[pool] * 100
        ax.plot([place + offset] * 3, y, "o", color=colour, label=f"pool={pool!r}" if place == 0 else None)
        ax.text(place + offset * 1.4, y.mean(), f"{y.mean():.0f}", ha="right" if offset < 0 else "left", va="center")
ax.set_xticks([0, 1], ["learning rate 0.0003", "learning rate 0.005"])
ax.set_xlim(-0.6, 1.6)
ax.set_ylabel("test accuracy, %")
ax.legend(frameon=False, loc="lower right")
plots.show(
    figure,
    alt="Accuracy of three seeds each. At the small learning rate the class token lies above the mean, at the larger one they lie together.",
    caption="Each dot is one training run, each number the mean of three.",
)

# %%
print("verdict: FALSE as a rule - the gap seen at one learning rate is gone at another")

# %% [markdown]
# The authors of ViT fell into this trap themselves, and say so. Their first try with the mean "performed very poorly",
# and they found that the difference is "fully explained by the requirement for a different learning-rate" (appendix
# D.3; their figure 9 shows that both work similarly well).
#
# **What our race does not show.** It is a tiny model, few pictures, a short training and three seeds. It cannot say
# which of the two is better in a large model. It does show that *one* learning rate for both is not a fair comparison.

# %% [markdown]
# ## Exercise: write `add_class_token`
#
# Difficulty 1 of 5, about 5 minutes. `tokens` is [B, N, D], `cls_token` is [1, 1, D]. Return [B, N+1, D]. Replace the
# three dots, run the cell, and read what the check says.
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
def my_add_class_token(tokens, cls_token):
    B, N, D = tokens.shape
    ...


check.add_class_token(my_add_class_token)

# %% [markdown]
# The solution is in the next cell, folded. Open it when your own passes, or when you are stuck.


# %% tags=["solution"] jupyter={"source_hidden": true}
def solution_add_class_token(tokens, cls_token):
    B, N, D = tokens.shape
    first = cls_token.expand(B, 1, D)  # [1, 1, D] -> [B, 1, D]
    return torch.cat([first, tokens], dim=1)  # [B, N+1, D]


check.add_class_token(solution_add_class_token)

# %% [markdown]
# ## What to remember
#
# 1. The class token is one learned vector of D numbers, the same for every image, in front of the patches.
# 2. Before the first block it knows nothing. The blocks let it collect from the patches.
# 3. The head reads token 0 of the last block, and no other.
# 4. Mean pooling does the same job with no extra token.
# 5. Neither wins as a rule. Compare two models only when each has its own best learning rate.
#
# | step | shape |
# |---|---|
# | tokens | [B, N, D] |
# | class token | [1, 1, D], expanded to [B, 1, D] |
# | with class token in front | [B, N+1, D] |
# | what the head reads | [B, D] |
#
# **Three questions.**
#
# <details><summary>A 384×384 image, P = 16, with a class token: how long is the sequence?</summary>24 · 24 + 1 =
# 577.</details>
# <details><summary>After training, two different pictures come in. Do their class tokens differ before the first
# block?</summary>No. Training changed the vector, but it is still one vector for all pictures.</details>
# <details><summary>How many parameters does the class token of ViT-B/16 have?</summary>768. The sequence is one token
# longer, so its position takes 768 more (lesson 3).</details>
#
# **Next**: the model now has a sequence, and a token that answers. But does it know which patch was where? Lesson 3
# shuffles the cat.
#
# **Read on**: Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words*, section 3.1 and appendix D.3 · Devlin et al.
# 2019, *BERT*, for `[CLS]` · the code of this lesson: `vit_tutorial/tokens.py`.
