# %% [markdown]
# # 6 · The encoder block: what holds a deep stack together
#
# **The question.** Attention lets tokens talk to each other. A Vision Transformer does it 12, 24 or 32 times, one layer
# upon the other. Stack attention alone, and the tokens soon become all alike. *What has to stand around attention, so
# that a stack of 24 trains?*
#
# ![The block of ViT. A token z runs along a line, the residual stream. A first branch goes through a norm and attention, and what it says is added to the line. A second branch goes through a norm and the MLP, and is added too.](figures/vit_block.svg)
#
# The answer in one sentence: **a norm, a second branch that works on each token alone, and two plus signs.** *Where*
# the norm stands looks like a detail. We shall measure what it does to the training.
#
# **What you will do**
#
# 1. Normalise a token with a pencil, and meet the two traps of LayerNorm.
# 2. Build the MLP, and count what it holds. See GELU, in its two versions.
# 3. Follow a token down the residual stream of a trained model. Put a block together, and get the numbers of PyTorch's
#    own.
# 4. Stack 24 blocks, and measure what runs through them, forwards and backwards.
# 5. Write the block yourself, train a ViT with it, and mend one that is ill.
#
# **Time**: 40 minutes, 5 more on a second reading, and 50 for the exercises. **You need**: lessons 4 and 5.

# %%
import math
from dataclasses import replace
from statistics import fmean

import torch
from torch import nn
from torch.nn import functional as F

from vit_tutorial import MLP, DropPath, Encoder, EncoderBlock, MultiHeadAttention, ViT, ViTConfig
from vit_tutorial import count_parameters, load_model, plots
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.evidence import compare, compare_each, judge
from vit_tutorial.exercises import check
from vit_tutorial.explore import SignalLab, SignalSetting, signal_lab_state

torch.set_num_threads(1)  # one thread: the same numbers each time
model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
images = model.card.normalize(data.test_images[:500])

# %% [markdown]
# ## By hand: LayerNorm
#
# After a few layers the numbers of a token may have grown, or drifted away from zero. LayerNorm (Ba, Kiros and Hinton
# 2016) brings each token back to mean 0 and variance 1. Take a token of four numbers, and a pencil:
#
# | step | | | | |
# |---|---|---|---|---|
# | the token | 2 | 4 | 4 | 10 |
# | mean: (2 + 4 + 4 + 10) / 4 = **5**; subtract it | −3 | −1 | −1 | 5 |
# | squares | 9 | 1 | 1 | 25 |
# | variance: (9 + 1 + 1 + 25) / 4 = **9**; its root is 3; divide | −1 | −0.33 | −0.33 | 1.67 |
#
# $$\text{LN}(z) = \gamma \cdot \frac{z - \text{mean}(z)}{\sqrt{\text{var}(z) + \varepsilon}} + \beta$$
#
# γ and β are learned, one of each for each of the D places. They start at 1 and 0, so at first they do nothing. ε, here
# 0.000001, keeps the division alive if all numbers of a token are equal.


# %%
def layer_norm(z, gamma, beta, eps=1e-6):
    mean = z.mean(dim=-1, keepdim=True)  # [..., D] -> [..., 1]: one for each token
    variance = ((z - mean) ** 2).mean(dim=-1, keepdim=True)  # divided by D
    return gamma * (z - mean) / torch.sqrt(variance + eps) + beta  # ε under the root


token = torch.tensor([2.0, 4.0, 4.0, 10.0])
print([round(number, 2) for number in layer_norm(token, gamma=1, beta=0).tolist()])

# %% [markdown]
# Two traps are in this formula. `torch.var` and `torch.std` divide by D − 1 unless told otherwise. And ε belongs
# *under* the root. With a nearly constant token both traps are easy to see:

# %%
torch.manual_seed(0)
z = torch.randn(2, 5, 64, dtype=torch.float64)  # [B, N, D]
small = 0.001 * z  # variance near 0.000001: as large as ε
reference = nn.LayerNorm(64, eps=1e-6, dtype=torch.float64)
reference.weight.data.normal_(), reference.bias.data.normal_()  # as if trained
gamma, beta = reference.weight, reference.bias

centred = small - small.mean(-1, keepdim=True)
answers = {
    "ours": layer_norm(small, gamma, beta),
    "ε outside the root": gamma * centred / (small.std(-1, keepdim=True, correction=0) + 1e-6) + beta,
    "divided by D - 1": gamma * centred / torch.sqrt(small.var(-1, keepdim=True) + 1e-6) + beta,
}
for name, answer in answers.items():
    difference = (answer - reference(small)).abs().max().item()
    print(f"{name:<20} equal to nn.LayerNorm to 12 digits: {difference < 1e-12}")

# %% [markdown]
# LayerNorm looks at one token at a time. (BatchNorm, which CNNs use, takes its mean over all images of the batch. So,
# while training, an answer depends on who else is in it.) And afterwards something of the token is gone: its mean and
# its size. What is left is the pattern of its numbers:

# %%
alone = torch.allclose(layer_norm(z[:1, :1], gamma, beta), layer_norm(z, gamma, beta)[:1, :1], rtol=0, atol=1e-12)
print("one token alone gives the same as in its batch:", alone)
print("ten times as large:", [round(number, 2) for number in layer_norm(10 * token, gamma=1, beta=0).tolist()])

# %% [markdown]
# ## In code: the MLP
#
# Attention mixes tokens. The second branch works on each token *alone*: widen it from D to 4·D numbers, bend them, and
# narrow them again. It is called **MLP**, multi-layer perceptron. Papers on language models call it the *feed-forward
# network*, FFN:
#
# $$\text{MLP}(z) = \text{GELU}(z W_1 + b_1)\, W_2 + b_2 \qquad W_1 \in \mathbb{R}^{D \times 4D},\; W_2 \in
# \mathbb{R}^{4D \times D}$$
#
# Why bend? Because two matrices in a row are one matrix, and the widening would be for nothing:

# %%
W_1, W_2 = torch.randn(64, 256, dtype=torch.float64), torch.randn(256, 64, dtype=torch.float64)
print("two matrices are one:", torch.allclose(z @ W_1 @ W_2, z @ (W_1 @ W_2)), list((W_1 @ W_2).shape))

# %% [markdown]
# ### GELU, twice
#
# A function that bends each number by itself is called an **activation**. ViT's is GELU (Hendrycks and Gimpel 2016): x
# · Φ(x), where Φ(x) is the chance that a number drawn from the bell curve is below x. With a pencil: Φ(1) = 0.84, so
# GELU(1) = 0.84. Φ(−1) = 1 − 0.84 = 0.16, so GELU(−1) = −0.16. Far to the right it is x, far to the left it is 0, as
# with ReLU, which makes negative numbers 0; around 0 it is smooth.
#
# Φ was once expensive to compute. So the same paper gives an approximation with tanh, and both are in use:


# %%
def gelu(x):
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))  # Φ(x): PyTorch has it as erf, stretched and shifted


def gelu_tanh(x):
    return x * 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


x = torch.linspace(-4, 4, 801, dtype=torch.float64)
print("GELU of 1 and -1:", [round(number, 2) for number in gelu(torch.tensor([1.0, -1.0])).tolist()])
print("exact, equal to F.gelu:", torch.allclose(gelu(x), F.gelu(x), rtol=0, atol=1e-12))
print("tanh, equal to F.gelu:", torch.allclose(gelu_tanh(x), F.gelu(x, approximate="tanh"), rtol=0, atol=1e-12))
print(f"largest difference of the two: {(gelu(x) - gelu_tanh(x)).abs().max():.4f}")

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 2, size=(10, 3))
curves = {"GELU": gelu(x).tolist(), "ReLU": F.relu(x).tolist()}
plots.draw_lines(axes[0, 0], x.tolist(), curves, "x", "output")
plots.draw_lines(axes[0, 1], x.tolist(), {"tanh - exact": (gelu_tanh(x) - gelu(x)).tolist()}, "x", "difference")
plots.show(
    figure,
    alt="Left, GELU and ReLU from -4 to 4: GELU dips a little below zero left of 0, then follows ReLU. Right, the tanh version less the exact one: waves of less than 0.0005.",
)

# %% [markdown]
# | version | who uses it |
# |---|---|
# | exact | PyTorch's `nn.GELU` unless told otherwise, so torchvision's and timm's ViT; this course |
# | tanh | Google's own ViT code (it is the default of JAX's `gelu`) and GPT-2 |
#
# So if you load Google's weights, pass `gelu="tanh"` to `ViTConfig`.

# %% [markdown] tags=["extra"]
# *Extra.* What happens if you forget? Try it on the course's trained model, which has learned with the exact one:

# %% tags=["extra"]
other = ViT(replace(model.config, gelu="tanh")).eval()
other.load_state_dict(model.state_dict())
with torch.no_grad():
    exact, approximate = model(images), other(images)  # [500, 10] each
print("same logits:", torch.equal(exact, approximate))
changed = (exact.argmax(1) != approximate.argmax(1)).sum().item()
print("predictions that change: fewer than 1 in 100:", changed < 5)

# %% [markdown] tags=["extra"]
# A small, silent error: no message tells you of it.

# %% [markdown]
# ### The course's MLP
#
# Two layers with GELU between them. We take its numbers, and do the steps ourselves:

# %%
mlp = MLP(dim=64, hidden_dim=256).double()
hidden = gelu(z @ mlp.fc1.weight.T + mlp.fc1.bias)  # [B, N, 64] -> [B, N, 256]
by_hand = hidden @ mlp.fc2.weight.T + mlp.fc2.bias  # -> [B, N, 64]
print("equal to the course's MLP:", torch.allclose(mlp(z), by_hand, rtol=0, atol=1e-12))

nudged = z.clone()
nudged[0, 3] += 1  # change token 3 of image 0
print("tokens whose output changed:", (mlp(nudged) != mlp(z)).any(dim=-1).nonzero().tolist(), "(image, token)")

# %% [markdown]
# ## In code: the residual stream
#
# The plus sign is the third part, the **residual** or *skip connection*. A branch does not *replace* a token, it
# *corrects* it: z + f(z) instead of f(z). The token [2, 4, 4, 10] with a correction of [0, 0.5, −1, 0] becomes [2, 4.5,
# 3, 10]. What came in is still in there. If a branch has nothing to say, it says 0, and the token passes through
# unchanged. So can a whole block:

# %%
block = EncoderBlock(dim=64, num_heads=4).double()
for last in (block.attn.proj, block.mlp.fc2):  # the last layer of each branch
    nn.init.zeros_(last.weight), nn.init.zeros_(last.bias)
print("a block whose branches say 0 changes nothing:", torch.equal(block(z), z))

# %% [markdown]
# Picture the token as running along a straight line through the model: the **residual stream**. Branches read from it,
# and add to it. So what arrives at the end is a *sum*: the token at the start, plus what every branch has said. We
# check that in the trained model, and draw it.

# %%
tokens = model.position(model.class_token(model.patch_embed(images[:1]))).detach()  # [1, 50, 64]
said, stream = {"start": tokens}, tokens
with torch.no_grad():
    for i, block in enumerate(model.blocks, start=1):
        said[f"attention {i}"] = block.attn(block.norm1(stream))
        stream = stream + said[f"attention {i}"]
        said[f"MLP {i}"] = block.mlp(block.norm2(stream))
        stream = stream + said[f"MLP {i}"]
    print("the sum of all is what comes out:", torch.allclose(sum(said.values()), stream, rtol=0, atol=1e-5))
    print("and what the model says itself:  ", torch.allclose(model.blocks(tokens), stream, rtol=0, atol=1e-5))

# %% jupyter={"source_hidden": true}
rows = torch.cat([part[:, 0] for part in said.values()])  # the class token: [13, 64]
sizes = {"what a branch adds": rows.square().mean(1).sqrt(), "the stream": rows.cumsum(0).square().mean(1).sqrt()}
figure, axes = plots.new_figure(1, 2, size=(11, 4), width_ratios=[1.5, 1])
options = {"decimals": None, "cmap": "RdBu_r", "vmin": -3, "vmax": 3, "aspect": "auto"}
plots.draw_matrix(axes[0, 0], rows, "what is added to the 64 numbers of the class token", rows=list(said), **options)
plots.draw_lines(
    axes[0, 1], range(len(rows)), {name: y.tolist() for name, y in sizes.items()}, "branches so far", "size", marker="o"
)
plots.show(
    figure,
    alt="Left, thirteen rows of 64 colours: the start and what six attentions and six MLPs add to the class "
    "token. Right, the size of each addition and of the stream: the stream grows from step to step.",
    caption="Red is positive, blue negative, white zero. Size: root of the mean square of the 64 numbers.",
)

# %% [markdown]
# Nothing brings the stream back to its old size, and here it grows with every step. That is why a norm stands in front
# of each branch: what a branch reads is always of the same size, however large the stream has become. And it is why
# there is one more norm after the last block.
#
# ## In code: the whole block
#
# Norm, attention, plus. Norm, MLP, plus.
#
# $$z' = \text{MSA}(\text{LN}(z)) + z \qquad \text{(equation 2)}$$
# $$z'' = \text{MLP}(\text{LN}(z')) + z' \qquad \text{(equation 3)}$$
#
# This is **pre-norm**: the norm comes before each branch. The original Transformer (Vaswani et al. 2017, section 3.1)
# has it after each plus, on the stream itself: **post-norm**, LN(z + f(z)). The third way in the picture, z + LN(f(z)),
# is that of Swin v2 (*res-post-norm*).
#
# ![Three ways to build a block. In each a token z runs along a line, the residual stream; attention and then the MLP read it, and what they say is added to it. Pre-norm has a norm in front of each branch. Post-norm has a norm on the line, after each plus. Swin v2 has a norm at the end of each branch.](figures/encoder_block.svg)


# %%
def pre_norm(block, z):  # [B, N, D] -> [B, N, D]
    z = z + block.attn(block.norm1(z))  # equation 2: tokens talk to each other
    return z + block.mlp(block.norm2(z))  # equation 3: each token thinks for itself


def post_norm(block, z):
    z = block.norm1(z + block.attn(z))
    return block.norm2(z + block.mlp(z))


blocks = {norm: EncoderBlock(dim=64, num_heads=4, norm=norm).double() for norm in ("pre", "post")}
print("pre, same as the course's block: ", torch.equal(pre_norm(blocks["pre"], z), blocks["pre"](z)))
print("post, same as the course's block:", torch.equal(post_norm(blocks["post"], z), blocks["post"](z)))

# %% [markdown]
# PyTorch has this block too, `nn.TransformerEncoderLayer`, with a switch for the norm. Ask it for GELU and for our ε,
# give our numbers its names, and compare:

# %% jupyter={"source_hidden": true}
OPTIONS = {"dropout": 0, "activation": "gelu", "batch_first": True, "layer_norm_eps": 1e-6, "dtype": torch.float64}
NAMES = {
    "attn.qkv.": "self_attn.in_proj_",
    "attn.proj": "self_attn.out_proj",
    "mlp.fc1": "linear1",
    "mlp.fc2": "linear2",
}

for norm, block in blocks.items():
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.2)  # norms start at 1 and 0, biases at 0: that would hide a mistake
    theirs = nn.TransformerEncoderLayer(64, 4, dim_feedforward=256, norm_first=norm == "pre", **OPTIONS)
    weights = block.state_dict()
    for ours, their_name in NAMES.items():
        weights = {key.replace(ours, their_name): value for key, value in weights.items()}
    theirs.load_state_dict(weights)
    difference = (theirs(z) - block(z)).abs().max().item()
    print(f"{norm}: largest difference from PyTorch below 0.000000000001: {difference < 1e-12}")

# %% [markdown]
# ### What is random while it trains
#
# Two more parts may stand in a block. Both work in training only. Both keep the *mean*, so that the next layer gets
# numbers of the usual size.
#
# - **Dropout** (Srivastava et al. 2014) sets single numbers to 0, each with probability p, and divides the rest by 1 −
#   p.
# - **Stochastic depth** (after Huang et al. 2016), `DropPath` in code, drops a whole *branch* for an image: that
#   image skips the branch, and goes on along the stream. Branches that stay are divided by their chance to stay.

# %%
torch.manual_seed(0)
ones = torch.ones(1000, 20)  # 1000 images, 20 numbers each
drop, path = nn.Dropout(0.25), DropPath(0.25)
dropped, skipped = drop(ones), path(ones)
for name, out in (("dropout", dropped), ("drop path", skipped)):
    zeros, mean = (out == 0).float().mean(), out.mean()
    print(f"{name:<9} about a quarter is 0: {abs(zeros - 0.25) < 0.06}, the rest {out.max():.2f},", end=" ")
    print(f"the mean is still about 1: {abs(mean - 1) < 0.08}")
print("drop path takes or leaves an image as a whole:", bool((skipped == skipped[:, :1]).all()))
print("in eval nothing happens:", torch.equal(drop.eval()(ones), ones) and torch.equal(path.eval()(ones), ones))

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 2, size=(9, 2))
for ax, (title, table) in zip(axes[0], {"dropout": dropped, "drop path": skipped}.items(), strict=True):
    plots.draw_matrix(ax, table[:8], title, rows=[f"image {i}" for i in range(8)], decimals=None, vmin=0, vmax=1.5)
plots.show(
    figure,
    alt="Two tables of 8 images by 20 numbers. Dropout leaves dark holes everywhere; drop path makes whole rows dark.",
    caption="What a branch adds while training: dark is 0, light is 1.33.",
)

# %% [markdown]
# ## In a picture you can touch
#
# Now we stack blocks. None is trained: we want to know what the numbers do *before* the first step of training. Random
# tokens go in at block 1. The lab shows how large the numbers of the stream are after each block, and how large each
# branch's addition is. Click the chart, then use the keys; or use the menus. Say what you expect before you look.
#
# 1. Hold pre-norm (`h`), then go to post-norm (`n`). Which stream grows?

# %%
SignalLab(depth=12)

# %% [markdown]
# *More* (`m`) adds two charts. One has the **gradient** of each block's weights, from a loss at the end: how strongly
# training would pull at them. The other shows how alike the tokens of an image have become: 1 means that all point in
# the same direction.
#
# 2. Pre-norm held, and post-norm beside it, as before. Whose *last* block gets the larger gradient?
# 3. Hold pre-norm with 6 blocks, and go to 24 (Page Up). Do the same with post-norm. In which of the two does the
#    *last* block get less than before?
# 4. With 24 blocks: pre-norm, and switch the residuals off (`r`). The gradient does *not* vanish. What happens to the
#    likeness?
# 5. With 24 blocks: now no norm either. Look at the gradient of block 1.
# 6. With 24 blocks: residuals on, no norm, matrices twice as large (↑). What do the norms protect from?
#
# <details><summary>What there was to see</summary>
#
# 1. The pre-norm stream grows, as in the trained model above. The post-norm stream is normed after each plus and stays
#    at 1.
# 2. That of post-norm.
# 3. Pre-norm: its last block gets less. Post-norm's gets about as much as before.
# 4. The norms keep the gradient large. But from block to block the tokens become alike, until all say the same: there
#    is nothing left to read off them.
# 5. It is below a billionth: block 1 would not learn.
# 6. The numbers pass 10²⁰, far above where the chart ends. Scores are products of two such numbers, more than float32
#    can hold. The norms keep a stack from exploding, also with matrices twice as large.
#
# </details>

# %% [markdown]
# ## Claims, tested
#
# ### "Pre-norm trains more stably than post-norm"
#
# First the gradients before training, as Xiong et al. (2020) looked at them. We build stacks of 6, 12 and 24 blocks,
# send random tokens through, and take the length of the gradient of all weights of one block. Each number is a mean of
# five stacks.


# %% jupyter={"source_hidden": true}
def gradient_lengths(depth, norm="pre", block=EncoderBlock, seeds=5):
    """Length of the gradient of each block's weights before training: a list, first block first."""
    total = 0
    for seed in range(seeds):
        torch.manual_seed(seed)
        encoder = Encoder(64, depth, 4, norm=norm, block=block).double()
        z, head = torch.randn(8, 16, 64, dtype=torch.float64), torch.randn(64, 10, dtype=torch.float64) / 8
        out = encoder(z)
        out = F.layer_norm(out, (64,)) if norm == "pre" else out  # the norm after the last block
        F.cross_entropy(out.mean(dim=1) @ head, torch.arange(8)).backward()
        total += torch.stack([torch.cat([p.grad.flatten() for p in b.parameters()]).norm() for b in encoder])
    return (total / seeds).tolist()


lengths = {(norm, depth): gradient_lengths(depth, norm) for norm in ("pre", "post") for depth in (6, 12, 24)}
print(f"{'':<6}{'blocks':>7}{'first block':>13}{'middle':>8}{'last block':>12}")
for (norm, depth), row in lengths.items():
    print(f"{norm:<6}{depth:>7}{row[0]:>13.1f}{row[depth // 2]:>8.1f}{row[-1]:>12.1f}")

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 2, size=(10, 3), sharey=True)
for ax, norm in zip(axes[0], ("pre", "post"), strict=True):
    for depth, colour in zip((6, 12, 24), plots.COLOURS, strict=False):
        ax.plot(range(1, depth + 1), lengths[norm, depth], "o-", color=colour, markersize=3, label=f"{depth} blocks")
    ax.set(title=f"{norm}-norm", xlabel="block", ylabel="length of the gradient", ylim=(0, 6))
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
plots.show(
    figure,
    alt="Gradient length by block. Pre-norm: it falls from first to last, and ends lower the more blocks there are. Post-norm: it stays high to the last block, at every depth.",
)

# %%
ratio = lengths["post", 24][-1] / lengths["pre", 24][-1]
kept = {norm: lengths[norm, 24][-1] / lengths[norm, 6][-1] for norm in ("pre", "post")}
print(f"last block's gradient, 24 blocks against 6: pre {kept['pre']:.1f} times, post {kept['post']:.1f} times as long")
print(f"with 24 blocks, post-norm's is {ratio:.1f} times as long as pre-norm's")

# %% [markdown]
# Pre-norm's *last* block gets less the deeper the stack is. The loss sees the sum of all additions, and the more
# there are, the smaller is the part of each. Post-norm's last blocks get about the same at every depth, in 24 blocks
# about four times as much as pre-norm's. Xiong et al. see in this the reason for **warm-up**: such large gradients
# make the first steps unstable, so the learning rate starts near 0 and grows over some steps. Our table alone does
# not show that: AdamW, which we train with, takes steps whose size hardly depends on the length of the gradient
# (lesson 11).
#
# So much for theory. The next cell says how to train for a moment, with warm-up or with none. (The two folded cells
# after it run four such trainings, and draw them. A loss of ln 10 = 2.3 is that of guessing.)

# %%
config = ViTConfig(28, 7, in_channels=1, num_classes=10, dim=32, depth=12, num_heads=2)
pictures, labels = data.normalize(data.train_images[:1500]), data.train_labels[:1500]


def short_training(warmup, norm="pre", block=EncoderBlock, steps=60):
    torch.manual_seed(0)
    model, losses = ViT(replace(config, norm=norm), block=block), []
    optimizer = torch.optim.AdamW(model.parameters())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.003 * min(1, (step + 1) / warmup) if warmup else 0.003
        batch = torch.randint(len(pictures), (32,))
        loss = F.cross_entropy(model(pictures[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %% tags=["extra"]
curves = {}
for norm in ("pre", "post"):
    for warmup, name in ((0, "no warm-up"), (30, "with warm-up")):
        curves[f"{norm}-norm, {name}"] = short_training(warmup, norm)
ends = {name: fmean(losses[-10:]) for name, losses in curves.items()}
print("pre-norm learns, with and without warm-up:", ends["pre-norm, no warm-up"] < 1.8 > ends["pre-norm, with warm-up"])
hardly = min(ends["post-norm, no warm-up"], ends["post-norm, with warm-up"]) > 1.9
print("post-norm has hardly learned, with and without warm-up:", hardly)

# %% tags=["extra"]
smooth = {name: torch.tensor(losses).unfold(0, 6, 1).mean(1).tolist() for name, losses in curves.items()}
figure, axes = plots.new_figure(size=(8, 3))
plots.draw_lines(axes[0, 0], range(6, 61), smooth, "step", "loss, mean of 6 steps")
axes[0, 0].axhline(math.log(10), color="black", linestyle=":", linewidth=1)
plots.show(
    figure,
    alt="Loss over 60 steps of four trainings. Pre-norm falls, with warm-up and without. Post-norm ends near the dotted line of guessing, at 2.3, with warm-up and without.",
)

# %% [markdown]
# One short training with one seed is an anecdote. The course keeps a record: 12 and 24 blocks, both norms, with and
# without warm-up, three epochs, no gradient clipping (no upper limit on the length of a gradient), and an MLP of 2·D
# instead of 4·D. Each of the eight was tried at five learning rates with one seed, and validation pictures chose the
# best (lesson 2). Three other seeds then trained at that rate.

# %% jupyter={"source_hidden": true}
from vit_tutorial.studies import load_study

study = load_study("norm")
training = study.settings["training"]
print("made by:", study.command)
print(f"{training['epochs']} epochs of {study.data['training']:,} images; gradient clipping: {training['clip_norm']}")
rates = study.search["rates"]
print(f"{'right on validation pictures at a rate of':<45}" + "".join(f"{rate:>8g}" for rate in rates) + "   above 50%")
for name in study.variants:
    right = [scores[0] for scores in study.tried(name).values()]
    learned = sum(share > 0.5 for share in right)
    print(f"{name:<45}" + "".join(f"{share:>8.1%}" for share in right) + f"{learned:>8} of {len(rates)}")

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 2, size=(10, 3), sharey=True)
for ax, depth in zip(axes[0], (12, 24), strict=True):
    for norm, colour in (("pre", plots.BLUE), ("post", plots.ORANGE)):
        for words, style in (("with", "o-"), ("no", "o:")):
            name = f"{norm}-norm, {depth} blocks, {words} warm-up"
            right = [scores[0] for scores in study.tried(name).values()]
            ax.plot(rates, right, style, color=colour, label=f"{norm}-norm, {words} warm-up")
    ax.axhline(0.1, color="black", linestyle=":", linewidth=1)
    ax.set(title=f"{depth} blocks", xscale="log", xlabel="learning rate", ylim=(0, 0.8))
    ax.grid(alpha=0.3)
axes[0, 0].set_ylabel("right on validation pictures")
axes[0, 0].legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 0.12))
plots.show(
    figure,
    alt="Accuracy over five learning rates, for 12 and for 24 blocks. Pre-norm's lines stay high at every rate. Post-norm's fall to the dotted line of guessing at the large rates, and with 24 blocks they fall sooner.",
    caption="One seed at each rate. Dotted at 0.1: guessing.",
)

# %% [markdown]
# This is what *stable* means here. Pre-norm learns at every rate that was tried. Post-norm falls to guessing where the
# rate is too high, and the deeper stack falls at a smaller rate. That was one seed. Now three others, each variant at
# its best rate:

# %% jupyter={"source_hidden": true}
accuracies = study.accuracies()
figure, axes = plots.new_figure(size=(9, 3.4))
plots.draw_spread(axes[0, 0], accuracies, xlabel="test accuracy, one point a seed", colours=(plots.BLUE, plots.ORANGE))
axes[0, 0].axvline(0.1, color="black", linestyle=":", linewidth=1)
plots.show(
    figure,
    alt="Test accuracy of every seed for eight ways to train, each at its own learning rate: pre-norm is ahead of post-norm in each pair, by most with 24 blocks.",
)

# %% tags=["claim-B1"]
pairs = {
    name.removeprefix("pre-norm, "): (study.scores(name), study.scores(name.replace("pre", "post")))
    for name in study.variants
    if name.startswith("pre")
}
print(compare_each(pairs, "pre-norm ends more accurate than post-norm"))

# %%
for norm in ("pre", "post"):
    pairs = {
        f"{depth} blocks": [study.scores(f"{norm}-norm, {depth} blocks, {words} warm-up") for words in ("with", "no")]
        for depth in (12, 24)
    }
    print(compare_each(pairs, f"warm-up helps {norm}-norm", holds="if"))
pairs = {
    f"{depth} blocks": [
        study.scores(f"{norm}-norm, {depth} blocks, {words} warm-up")
        for norm, words in (("pre", "no"), ("post", "with"))
    ]
    for depth in (12, 24)
}
print(compare_each(pairs, "pre-norm without warm-up is better than post-norm with it"))

# %% [markdown]
# Does warm-up save post-norm? With a warm-up of one epoch it still ends below pre-norm without any, and three seeds
# do not show that warm-up helped either of them.
#
# Nor is it shown that post-norm is bad. It needs a small rate, and with a small rate three epochs are short. BERT is
# post-norm, and learned at a rate of 0.0001 for a million steps, the first 10,000 of them warm-up (Devlin et al.
# 2019, appendix A.2).

# %% [markdown]
# ### "The MLP widens by 4, and holds most parameters"
#
# Attention has four matrices of D·D: for Q, K, V, and the output. The MLP has D·4D and 4D·D, which makes eight. 8 of 12
# is two thirds. Count, on PyTorch's `meta` device, where tensors have shapes but no numbers:

# %% jupyter={"source_hidden": true}
shares = {}
print(
    f"{'':<6}{'D':>6}{'hidden':>8}{'attention':>12}{'MLP':>12}{'norms':>8}{'MLP, of the block':>19}{'of the model':>14}"
)
for name in ("Ti/16", "S/16", "B/16", "L/16", "H/14"):
    with torch.device("meta"):
        vit = ViT.from_name(f"ViT-{name}")
    block = vit.blocks[0]
    attention, mlp, whole = (count_parameters(part) for part in (block.attn, block.mlp, block))
    shares[name] = mlp / whole
    row = f"{name:<6}{vit.config.dim:>6}{block.mlp.fc1.out_features:>8}{attention:>12,}{mlp:>12,}"
    print(
        f"{row}{whole - attention - mlp:>8,}{shares[name]:>19.1%}{mlp * vit.config.depth / count_parameters(vit):>14.1%}"
    )

# %% tags=["claim-B3"]
two_thirds = {name: abs(share - 2 / 3) < 0.01 for name, share in shares.items()}
print(judge(two_thirds, "the MLP holds two thirds of a block"))

# %% [markdown]
# ### "Residuals keep gradients alive"
#
# Build the same stack without the plus signs, 24 blocks deep, and look at the gradient of block 1.


# %%
class NoResidual(EncoderBlock):
    def forward(self, x):
        return self.mlp(self.norm2(self.attn(self.norm1(x))))


class NoNorm(EncoderBlock):
    def forward(self, x):
        x = x + self.attn(x)
        return x + self.mlp(x) + 0 * (self.norm1(x) + self.norm2(x))  # 0: the norms get a gradient, of length 0


class NoResidualNoNorm(EncoderBlock):
    def forward(self, x):
        return self.mlp(self.attn(x)) + 0 * (self.norm1(x) + self.norm2(x))


first = {
    "as it is": gradient_lengths(24)[0],
    "no residuals": gradient_lengths(24, block=NoResidual)[0],
    "residuals, no norms": gradient_lengths(24, block=NoNorm)[0],
    "no residuals, no norms": gradient_lengths(24, block=NoResidualNoNorm)[0],
}
dead, explodes = first["no residuals, no norms"] < 1e-5, first["residuals, no norms"] > 10_000
for name, length in first.items():
    words = "below 0.00001" if length < 1e-5 else "above 10,000" if length > 10_000 else f"{length:.1f}"
    print(f"{name:<24} gradient of block 1 of 24: {words}")

# %% [markdown]
# Without norms the sentence is true: with no residuals nothing arrives at block 1. But with residuals the gradient
# explodes. With norms the sentence is not true: without residuals the gradient is even longer than before. The norms
# scale everything up again, forwards and backwards. So with norms, do we need the residuals at all? Train for a moment,
# and see.

# %%
bare = short_training(30, block=NoResidual)
print("12 blocks without residuals are still near guessing, ln 10 = 2.3:", abs(fmean(bare[-10:]) - math.log(10)) < 0.2)

# %% [markdown]
# Gradients arrive, and still in 60 steps nothing is learned. The lab has shown one suspect: the tokens. Attention mixes
# them, and with nothing that keeps the old token, they become more alike with every block. Here is the mean cosine
# between two tokens of an image after 2 blocks, and after 24:

# %% tags=["claim-B4"]
likeness = {}
for name, setting in {
    "pre-norm, with residuals": SignalSetting(24, "pre", True),
    "pre-norm, without": SignalSetting(24, "pre", False),
    "post-norm, with residuals": SignalSetting(24, "post", True),
}.items():
    likeness[name] = signal_lab_state(setting).signals[:, 4]  # one number for each block
    print(f"{name:<26} likeness {likeness[name][1]:.2f} after 2 blocks, {likeness[name][-1]:.2f} after 24")
alike, without = likeness["pre-norm, with residuals"][-1], likeness["pre-norm, without"][-1]
dies = {"there are no norms": dead, "there are norms": first["no residuals"] < 1e-5}
print(judge(dies, "without residuals the gradient of block 1 dies", holds="if"))
print("with residuals and without norms it explodes, so a block has both:", explodes)
if alike < 0.9 < without:
    print(
        "With norms, residuals slow down how fast tokens become alike", f"(pre-norm: {alike:.2f} against {without:.2f})"
    )

# %% [markdown]
# Dong, Cordonnier and Loukas (2021) call this *rank collapse*: attention alone, without residuals and MLPs, loses the
# differences between tokens very fast with depth. Here the MLPs, which we kept, did not stop it. Nor is it proved that
# the collapse is why nothing was learned: post-norm with 12 blocks also starts with tokens nearly alike, and at a small
# learning rate it does learn.
#
# Post-norm, in the third line above, does have residuals, but each norm on the stream makes what has come so far
# smaller, to make room for what was added. After 24 blocks little is left of the token that came in.

# %% [markdown]
# ## More claims, for a second reading
#
# On a first reading go on to the exercises. These take 5 minutes, and nothing later needs them.
#
# ### "BERT, GPT-2, ViT and Swin all use pre-norm"
#
# Where a norm stands can be measured. We watch what goes into a block's norms and what comes out. If the first norm
# reads the block's own input, it is pre-norm. If the last norm's output *is* the block's output, it is post-norm. If
# the outputs of the norms are what is added, it is the third kind. PyTorch and torchvision have four blocks to try it
# on:


# %% jupyter={"source_hidden": true}
from torchvision.models import swin_transformer, vision_transformer


def placement(block, norms, x):
    reads, gives = [], []

    def watch(norm, inputs, output):
        reads.append(inputs[0])
        gives.append(output)

    for norm in norms:
        norm.register_forward_hook(watch)  # call watch whenever this norm runs
    out = block(x)
    if torch.equal(reads[0], x):
        return "pre: the first norm reads the block's input"
    if torch.equal(gives[-1], out):
        return "post: the last norm gives the block's output"
    return "inside: input + norms = output" if torch.allclose(x + gives[0] + gives[1], out, atol=1e-5) else "another"


# %% jupyter={"source_hidden": true}
original = nn.TransformerEncoderLayer(32, 4, dropout=0, batch_first=True)  # its default is that of the first paper
vit = vision_transformer.EncoderBlock(4, 32, 128, dropout=0, attention_dropout=0)
swins = [
    block(32, 4, [4, 4], [0, 0])
    for block in (swin_transformer.SwinTransformerBlock, swin_transformer.SwinTransformerBlockV2)
]
for swin in swins:  # at 1 and 0, a norm of a normed token changes nothing; random weights show every norm
    nn.init.normal_(swin.norm1.weight), nn.init.normal_(swin.norm2.weight)
found = {"original Transformer": placement(original, (original.norm1, original.norm2), torch.randn(1, 16, 32))}
found["ViT"] = placement(vit, (vit.ln_1, vit.ln_2), torch.randn(1, 16, 32))
for name, swin in zip(("Swin", "Swin v2"), swins, strict=True):
    found[name] = placement(swin, (swin.norm1, swin.norm2), torch.randn(1, 4, 4, 32))
for name, where in found.items():
    print(f"{name:<21} {where}")

# %% [markdown]
# | model | norm | source |
# |---|---|---|
# | Transformer, 2017 | post | Vaswani et al., section 3.1: LayerNorm(x + Sublayer(x)); run above |
# | BERT, 2018 | post | Devlin et al. 2019, section 3: "almost identical to the original" |
# | GPT-2, 2019 | pre | Radford et al., section 2.3: the norm moved to the input of each sub-block |
# | ViT, 2020 | pre | Dosovitskiy et al., section 3.1, equations 2 and 3; run above |
# | Swin, 2021 | pre | Liu et al., equation 3; run above |
# | Swin v2, 2022 | at the end of each branch | Liu et al., section 3.2 and figure 1; run above |
#
# Swin v2 changed it because in large pre-norm Swins the stream grew too much: the numbers that run through the model
# differed by a factor of 10,000 between layers (section 3.1). In the lab, choose *at the end of each branch*, and see
# that each addition has size 1.

# %% tags=["claim-B2"]
stated = {"BERT": "post, as its paper says", "GPT-2": "pre, as its paper says"}
use_it = {name: (stated | found)[name].startswith("pre") for name in ("BERT", "GPT-2", "ViT", "Swin")}
for name, does in use_it.items():
    print(f"{name:<8} {'pre-norm' if does else 'not'}")
print(judge(use_it, "all of these use pre-norm"))
print("Swin v2, which the sentence does not name:", found["Swin v2"])

# %% [markdown] tags=["extra"]
# ### "ViT's encoder is exactly BERT's"
#
# *Extra.* The sizes are: ViT-B and ViT-L took those of BERT (section 4.1 of the paper). BERT's block is post-norm, and
# has an ε of 1e-12 in its usual code. PyTorch's layer can be set to that. It gets the weights of our two blocks,
# pre-norm and post-norm. Each of ours is tried with ViT's ε, 1e-6, and with BERT's:

# %% tags=["extra", "claim-B6"]
bert, agree = nn.TransformerEncoderLayer(64, 4, 256, **OPTIONS | {"layer_norm_eps": 1e-12}), {}
for norm, block in blocks.items():
    weights = block.state_dict()
    for ours, their_name in NAMES.items():
        weights = {key.replace(ours, their_name): value for key, value in weights.items()}
    bert.load_state_dict(weights)
    for eps in (1e-6, 1e-12):
        block.norm1.eps = block.norm2.eps = eps
        agree[f"{norm}-norm with ε = {eps:g}"] = torch.allclose(block(z), bert(z), rtol=0, atol=1e-12)
for name, does in agree.items():
    print(f"{name:<27} gives what BERT's block gives: {does}")
print(judge(agree["pre-norm with ε = 1e-06"], "with the same weights ViT's block gives what BERT's gives"))

# %% [markdown] tags=["extra"]
# ViT is pre-norm, so its encoder is not BERT's. And BERT learns to fill gaps in sentences, where ViT learns to
# classify. (Blocks in notes are often written with `nn.MultiheadAttention`. They are this block too, if its dropout is
# 0.)
#
# ### "Pre-norm keeps the sums alike"
#
# *Extra.* What is alike is what a branch *reads*, since a norm stands before it. What runs along the stream is the sum.
# Here is its size after the first and the last of 24 blocks, from the lab:

# %% tags=["extra", "claim-B5"]
alike = {}
for norm in ("pre", "post"):
    stream = signal_lab_state(SignalSetting(24, norm, True)).signals[:, 0]  # root mean square, one a block
    alike[f"{norm}-norm"] = stream[-1] < 1.5 * stream[0]
    print(f"{norm:<5} {stream[0]:.1f} after 1 block, {stream[-1]:.1f} after 24; of one size: {alike[f'{norm}-norm']}")
print(judge(alike["pre-norm"], "along a pre-norm stack the sum stays of one size, to a factor of 1.5"))

# %% [markdown] tags=["extra"]
# ### "Pre-norm suits small batches"
#
# *Extra.* What LayerNorm gives does not depend on the size of the batch. Training may. A record tried both norms with
# 12 blocks in batches of 8, 32 and 128, each at the best of five learning rates. If the sentence is right, pre-norm's
# lead is larger with small batches:

# %% tags=["extra", "claim-B5"]
batches, ahead = load_study("norm_batch"), {}
print("made by:", batches.command)
for size in (8, 32, 128):
    pre, post = (batches.scores(f"{norm}-norm, batches of {size}") for norm in ("pre", "post"))
    ahead[size] = replace(pre - post, name=f"lead at {size}")
    rates = f"rate {pre.rate.value:g} for pre-norm, {post.rate.value:g} for post-norm"
    print(f"batches of {size:>3}: pre-norm is ahead by {100 * fmean(ahead[size].by_seed.values()):.1f} points; {rates}")
claim = "pre-norm's lead is larger with batches of 8 than with batches of 128"
print(compare(ahead[8], ahead[128], claim))

# %% [markdown]
# ## Exercise: count a block
#
# Difficulty 1 of 5, about 5 minutes. Importance 2 of 3. Return three numbers: the parameters of attention, of the MLP,
# and of both norms together, for tokens of `dim` numbers and an MLP of `hidden_dim`. Every linear layer has a bias.
#
# <details><summary>Hint 1</summary>
#
# A linear layer from a to b numbers has a·b weights and b biases. Attention has one from D to 3·D, and one from D to D.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The MLP goes from D to hidden_dim, and back. A norm has γ and β, with D numbers each, and a block has two norms.
#
# </details>


# %% tags=["exercise"]
def my_block_parameters(dim, hidden_dim): ...  # return attention, mlp, norms


check.block_parameters(my_block_parameters)

# %% [markdown]
# The solution is in the next cell, folded. Open it when your own passes, or when you are stuck.


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_block_parameters(dim, hidden_dim):
    attention = (dim * 3 * dim + 3 * dim) + (dim * dim + dim)
    mlp = (dim * hidden_dim + hidden_dim) + (hidden_dim * dim + dim)
    return attention, mlp, 2 * (dim + dim)


check.block_parameters(my_block_parameters)

# %% [markdown]
# ## Exercise: LayerNorm by hand
#
# Difficulty 2 of 5, about 10 minutes. Importance 3 of 3. Write it without `F.layer_norm`. z is [B, N, D], gamma and
# beta are [D]. Return [B, N, D]. Do not scroll up. The check knows both traps, and some more.
#
# <details><summary>Hint 1</summary>
#
# Each token has its own mean: over the last axis. `keepdim=True` keeps the shape [B, N, 1], so that it can be
# subtracted.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `z.var(dim=-1, keepdim=True, correction=0)` divides by D. Add eps to it, and then take the root.
#
# </details>


# %% tags=["exercise"]
def my_layer_norm(z, gamma, beta, eps): ...  # [B, N, D] -> [B, N, D]


check.layer_norm(my_layer_norm)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_layer_norm(z, gamma, beta, eps):
    mean = z.mean(dim=-1, keepdim=True)  # [B, N, 1]
    variance = z.var(dim=-1, keepdim=True, correction=0)  # [B, N, 1]
    return gamma * (z - mean) / torch.sqrt(variance + eps) + beta


check.layer_norm(my_layer_norm)

# %% [markdown]
# ## Exercise: the MLP
#
# Difficulty 2 of 5, about 8 minutes. Importance 2 of 3. Two `nn.Linear` with the exact GELU between them. It is built
# as `MyMLP(dim, hidden_dim)`. The check gives your layers known numbers, in the order in which you make them.
#
# <details><summary>Hint 1</summary>
#
# `nn.Linear(dim, hidden_dim)` goes up. Which one comes down?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `F.gelu(x)` is the exact GELU. It belongs to the wide part: after the first layer, before the second.
#
# </details>


# %% tags=["exercise"]
class MyMLP(nn.Module):
    def __init__(self, dim, hidden_dim):
        super().__init__()
        ...  # two layers

    def forward(self, x):
        # [B, N, D] -> [B, N, D]
        ...


check.mlp(MyMLP)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
class MyMLP(nn.Module):
    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


check.mlp(MyMLP)

# %% [markdown]
# ## Exercise: your own block, in a real ViT
#
# Difficulty 3 of 5, about 15 minutes. Importance 3 of 3. Put the four parts together, pre-norm, as ViT does. They are
# called `norm1`, `attn`, `norm2` and `mlp`: with these names saved weights find their places. Take
# `nn.LayerNorm(dim, eps=1e-6)`, `MultiHeadAttention(dim, num_heads)` and `MLP(dim, 4 * dim)`, or your own
# `MyMLP(dim, 4 * dim)` with its layers called `fc1` and `fc2`.
#
# <details><summary>Hint 1</summary>
#
# Two lines, one for each equation. Each begins with `x = x + `.
#
# </details>
# <details><summary>Hint 2</summary>
#
# What stands behind the plus in the first line is what attention says about the *normed* tokens. What stands in front
# of it is x as it came in.
#
# </details>


# %% tags=["exercise"]
class MyBlock(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        ...  # self.norm1, self.attn, self.norm2, self.mlp

    def forward(self, x):
        # [B, N, D] -> [B, N, D]
        ...


check.encoder_block(MyBlock)

# %% [markdown]
# Now build a ViT of twelve of your blocks, and train it for a moment.

# %%
if check.encoder_block(MyBlock).passed:
    mine = short_training(30, block=MyBlock)
    print("a ViT of 12 of your blocks: the loss has fallen below 1.8:", fmean(mine[-10:]) < 1.8)
else:
    print("MyBlock does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
class MyBlock(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = MultiHeadAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(dim, 4 * dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))  # equation 2
        return x + self.mlp(self.norm2(x))  # equation 3


check.encoder_block(MyBlock)

# %% [markdown]
# Now run the cell above the solution again: it trains a ViT of your blocks.

# %% [markdown]
# ## The bug clinic
#
# A colleague has written this block. It trains. But its accuracy on the test pictures is a little low, he says, and
# when measured again, it is different. Do not search the code yet. Doctors measure first.


# %%
class Patient(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = MultiHeadAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(dim, 4 * dim)

    def forward(self, x):
        x = x + F.dropout(self.attn(self.norm1(x)), p=0.2)
        return x + F.dropout(self.mlp(self.norm2(x)), p=0.2)


# %% [markdown]
# Five instruments: shapes, maps, gradients, loss, and the same question twice. Each is applied to the patient, and to a
# healthy block. Which one tells them apart?


# %%
def examine(block):
    torch.manual_seed(0)
    model = ViT(replace(config, depth=2), block=block)
    few, their_labels = pictures[:32], labels[:32]
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    for _ in range(40):  # can it learn 32 pictures by heart?
        loss = F.cross_entropy(model(few), their_labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    maps = model.blocks[0].attn(torch.randn(1, 5, 32), return_weights=True)[1]  # [1, h, 5, 5]
    print("  shape kept:               ", model.blocks[0](torch.zeros(2, 5, 32)).shape == (2, 5, 32))
    print("  rows of the maps sum to 1:", torch.allclose(maps.sum(-1), torch.ones(1, 2, 5)))
    print("  all weights get gradients:", all(p.grad is not None and p.grad.any() for p in model.parameters()))
    print("  the loss falls below 1:   ", loss.item() < 1)
    model.eval()
    with torch.no_grad():
        print("  same question, same answer:", torch.equal(model(few), model(few)))


for block in (EncoderBlock, Patient):
    print(block.__name__)
    examine(block)

# %% [markdown]
# ## Exercise: mend the patient
#
# Difficulty 3 of 5, about 12 minutes. Importance 2 of 3. Only the fifth instrument finds something. In `eval()` a model
# must give the same answer to the same question. Find out why this one does not, and write a `forward` that is well:
# random in training, as before, and quiet in eval. Your class takes over the patient's `__init__`. The check's message
# shows two things: what your block says in eval, and whether it is random in training, True or False.
#
# <details><summary>Hint 1</summary>
#
# What in these two lines is random? Read its help: `help(F.dropout)`. Which of its arguments did the colleague leave
# out, and what is it then?
#
# </details>
# <details><summary>Hint 2</summary>
#
# A module knows its mode: `self.training` is True after `.train()` and False after `.eval()`. A *function* knows
# nothing of your module, so it must be told.
#
# </details>


# %% tags=["exercise"]
class MendedBlock(Patient):
    def forward(self, x):
        # [B, N, D] -> [B, N, D]
        ...


check.mended_block(MendedBlock)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
class MendedBlock(Patient):
    def forward(self, x):
        x = x + F.dropout(self.attn(self.norm1(x)), 0.2, training=self.training)
        return x + F.dropout(self.mlp(self.norm2(x)), 0.2, training=self.training)


check.mended_block(MendedBlock)

# %% [markdown]
# ## What to remember
#
# 1. LayerNorm brings each token to mean 0 and variance 1, alone: ε under the root, divided by D.
# 2. The MLP widens each token to 4·D, bends it with GELU, and narrows it. It holds two thirds of a block.
# 3. Branches add to the residual stream. What comes out is the sum of all that was said, and what came in is still
#    there.
# 4. Pre-norm learned at each of five learning rates. Post-norm needs a small one, the smaller the deeper it is, and at
#    its best rate it was still behind after three epochs. ViT is pre-norm, BERT post-norm.
# 5. Without residuals the tokens become all alike, and in a deep post-norm stack even with them. Without norms the
#    numbers explode (with residuals) or vanish (without) at the usual start. With a norm before each branch, or after
#    each plus, they did neither at any size that the lab offers.
#
# | step | shape |
# |---|---|
# | tokens | [B, N, D] |
# | `norm1`, attention, plus | [B, N, D] |
# | `norm2` | [B, N, D] |
# | inside the MLP | [B, N, 4·D] |
# | after it, plus | [B, N, D] |
#
# **Five questions.** Three on this lesson, and two that mix in earlier ones.
#
# <details><summary>Why does a pre-norm model need one more norm after its last block?</summary>The stream itself is never
# normed, and has grown from block to block. The head would read numbers of any size.</details>
# <details><summary>You multiply all numbers of a token by 10 before a pre-norm block. What changes in what attention
# reads?</summary>Nothing, apart from ε: the norm takes the size away. But the stream is ten times as large, so what the
# branch adds counts for less.</details>
# <details><summary>A block has 12 · D² weights in its matrices. Which D gives 7 million?</summary>D² = 7,000,000 / 12, so D
# is about 764: ViT-B, with D = 768.</details>
# <details><summary>Norm, MLP and the plus signs: which of them could tell that the patches have been shuffled (lesson
# 3)?</summary>None. Each works on one token at a time, wherever it stands. So a block without positions is equivariant, as
# attention is.</details>
# <details><summary>You double the number of heads of all blocks. What happens to the parameters, and to the divisor of the
# scores (lesson 5)?</summary>The parameters stay. d = D/h is halved, so the divisor √d shrinks by √2.</details>
#
# **Next**: the block is whole. Lesson 7 stacks twelve of them, puts patches in front and a head behind, and has the
# Vision Transformer.
#
# **Read on**: Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words*, section 3.1 · Ba, Kiros and Hinton 2016, *Layer
# Normalization* · Hendrycks and Gimpel 2016, *Gaussian Error Linear Units* · Xiong et al. 2020, *On Layer Normalization
# in the Transformer Architecture* · Dong, Cordonnier and Loukas 2021, *Attention is Not All You Need: Pure Attention
# Loses Rank Doubly Exponentially with Depth* · Liu et al. 2022, *Swin Transformer V2*, section 3.2 · the code of this
# lesson: `vit_tutorial/encoder.py`.
