# %% [markdown]
# # 4 · Scaled dot-product attention: who looks at whom
#
# **The question.** After lesson 3 we have tokens that know what they look like and where they are. But each one knows
# only its own patch. A cat's ear is just fur until it is seen beside an eye. *How can a token collect what it needs
# from all the others, when it does not know beforehand which of them matter?*
#
# **What you will do**
#
# 1. Compute attention with a pencil: three tokens of two numbers each. Then drag them about, and watch.
# 2. Write it as matrices, and compare with PyTorch's own.
# 3. Forbid looks with a mask, and see what happens if you forbid all of them.
# 4. Take the square root out of the formula, and measure what that does.
# 5. Count what attention costs, and when it costs more than the rest of the model.
# 6. Write it yourself, put it into a real ViT, and mend one that is ill.
#
# **Time**: 45 minutes, a detour of 15 for those who come from text, and 55 for the exercises. **You need**: lessons 1
# to 3, the product of two matrices, and what softmax does: it turns a row of numbers into positive ones that sum to 1,
# the largest getting the most.

# %%
import itertools
import json
import math
from statistics import mean

import torch
from torch import nn
from torch.nn import functional as F

from vit_tutorial import EncoderBlock, ViT, ViTConfig, attention_maps, attention_scores, load_model, plots
from vit_tutorial import scaled_dot_product_attention
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.evidence import compare, compare_each, judge
from vit_tutorial.exercises import check
from vit_tutorial.explore import AttentionLab, AttentionPlane
from vit_tutorial.studies import EXPERIMENTS, load_study, make_data, make_model

torch.set_num_threads(1)  # the same numbers on every machine

# %% [markdown]
# ## The idea, before any formula
#
# Think of a library. You come with a question: *I want something about cats.* Every book has a label on its back:
# *animals*, *cooking*, *cats and dogs*. You compare your question with every label. Then you read, mostly in the books
# whose labels fit best.
#
# | in the library | its name | what each token has |
# |---|---|---|
# | your question | **query** q | what this token is looking for |
# | the label of a book | **key** k | what this token offers |
# | what is in the book | **value** v | what this token hands over if chosen |
#
# Attention does this for all tokens at once. Every token has a query, a key and a value. Every query is compared with
# every key. There is one difference to the library: you do not take the best book. You take a *mixture* of all of
# them, and good fits count for more. Here it is for one patch of a cat, in words.


# %% jupyter={"source_hidden": true}
books = [("eye", "round, in a face", 0.7, "it looks left"), ("fur", "striped", 0.2, "it is grey")]
books += [("floor", "flat", 0.1, "there is wood")]
cards = [
    (1.3, 1, "query of 'ear':\nis there a face\nnear me?"),
    (9.2, 1, "output of 'ear':\nmostly what 'eye'\nhanded over"),
]
figure, axes = plots.new_figure(size=(9.5, 2.8))
axes[0, 0].set(xlim=(0, 10.4), ylim=(-0.4, 2.4))
axes[0, 0].axis("off")
for y, (name, key, weight, value) in zip((2, 1, 0), books, strict=True):
    cards += [(4.2, y, f"key of '{name}':\n{key}\nfits {weight:.0%}"), (6.9, y, f"value of '{name}':\n{value}")]
    axes[0, 0].plot([1.3, 4.2, 6.9, 9.2], [1, y, y, 1], color=plots.BLUE, linewidth=14 * weight, alpha=0.5)
for x, y, text in cards:
    box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "#444444"}
    axes[0, 0].text(x, y, text, ha="center", va="center", fontsize=9, bbox=box)
plots.show(
    figure,
    alt="The query of the patch ear, a question, is compared with three keys: eye fits 70%, fur 20%, floor 10%. Their values flow in these shares into the output of ear.",
    caption="The shares are made up here, and no token asks in words. In a model, query, key and value are rows of numbers.",
)

# %% [markdown]
# ## By hand
#
# Three tokens. Each has a query, a key and a value of two numbers. Real models learn how to make them; we choose easy
# ones.

# %%
q = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # [N=3, d=2]: one query per row
k = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # [3, 2]: one key per row
v = torch.tensor([[10.0, 0.0], [0.0, 10.0], [5.0, 5.0]])  # [3, 2]: one value per row

# %% [markdown]
# **Step 1, scores.** How well does query 0 fit each key? Multiply number by number, and add. This is the dot product;
# it is large when two vectors are long and point the same way, 0 when they are at a right angle, and negative when they
# point apart.
#
# - query 0 with key 0: 1·1 + 0·0 = **1**
# - query 0 with key 1: 1·0 + 0·1 = **0**
# - query 0 with key 2: 1·1 + 0·1 = **1**
#
# Do queries 1 and 2 yourself, then look.

# %%
scores = torch.zeros(3, 3)
for i in range(3):  # each query
    for j in range(3):  # with each key
        scores[i, j] = sum(q[i, n] * k[j, n] for n in range(2))
print(scores)

# %% [markdown]
# **Step 2, scale.** Divide by √d. **d** is how many numbers a query has (the paper writes d_k); **D** is how many a
# token has, and the two need not be equal. Here d = 2, so we divide by 1.414. We shall see why; for now it only makes
# the numbers smaller.
#
# **Step 3, softmax.** Turn each *row* into weights that sum to 1. Row 0 after scaling is 0.707, 0, 0.707. Its
# exponentials are 2.03, 1, 2.03, which add up to 5.06. So the weights are 0.40, 0.20, 0.40.

# %%
weights = torch.zeros(3, 3)
for i in range(3):
    exponentials = [math.exp(scores[i, j] / math.sqrt(2)) for j in range(3)]
    for j in range(3):
        weights[i, j] = exponentials[j] / sum(exponentials)
print("weights of query 0:", [round(w, 2) for w in weights[0].tolist()])

# %% [markdown]
# **Step 4, mix.** The output of token 0 is 0.40 of value 0, 0.20 of value 1, and 0.40 of value 2:
#
# 0.40·[10, 0] + 0.20·[0, 10] + 0.40·[5, 5] = [6.0, 4.0]

# %%
output = torch.zeros(3, 2)
for i in range(3):
    for j in range(3):
        output[i] += weights[i, j] * v[j]
print("output of token 0:", [round(x, 1) for x in output[0].tolist()])

# %%
names = ["token 0", "token 1", "token 2"]
figure, axes = plots.new_figure(1, 3, size=(10, 3.2))
plots.draw_matrix(axes[0, 0], scores, "1. scores: queries down, keys across", rows=names, columns=["k0", "k1", "k2"])
plots.draw_matrix(axes[0, 1], weights, "2-3. weights: each row sums to 1", columns=["k0", "k1", "k2"])
plots.draw_matrix(axes[0, 2], output, "4. output: a mixture of values", columns=["0", "1"])
plots.show(figure, alt="Three tables: scores of three queries with three keys, weights after softmax, and outputs.")

# %% [markdown]
# ### Now move them
#
# These are the same three tokens, as arrows and points in the plane. Drag a tip with the mouse. Or click the picture,
# choose a vector with `q`, `k`, `v` and `0`, `1`, `2`, and move it with the arrow keys. `s` switches the scaling, `b`
# the vectors to begin with, `+` and `-` the temperature: all scores are divided by it. Page Down chooses the next query
# to follow, whose row is shown in bold; the arrow keys keep moving the vector you chose. "As if spread evenly over n
# keys" is e^H, with the **entropy** H = −Σ w·ln w of a row of weights w: 3 if all three are equal, 1 if one key takes
# all. (Leave the mask for later.) Say what you expect before you look.
#
# 1. Make query 0 longer, without turning it. Do its weights become more even, or less?
# 2. Query 0 is at a right angle to key 1, so their score is 0. Turn it further away. What becomes of the score? Can you
#    bring the weight to 0?
# 3. Choose the preset "all keys equal". Move the query where you like. What are the weights, and where is the output?
# 4. Choose "three directions". Move queries and keys. Can you bring an output *outside* the triangle of the three
#    values?
# 5. Choose the preset "one long query", and switch the scaling off. Which temperature brings the old weights back?

# %%
AttentionPlane()

# %% [markdown]
# <details><summary>What there was to see</summary>
#
# 1. Less even. All its scores grow by the same factor, and softmax makes more of larger differences.
# 2. The score becomes negative. The weight becomes small and never quite 0: e to any power is positive. With q0 = (8,
#    −8) it is 0.000012, or 0.0012%.
# 3. A third each: with equal keys the scores of a row are equal, whatever the query is. The output is the mean value.
# 4. No. Weights are positive and sum to 1, so each output lies inside the triangle of the values. To get out, move a
#    value.
# 5. About 1.4. Scaling divides the scores by √2, a temperature of T by T, so T = √2 = 1.41 does what the scaling did.
#
# </details>

# %% [markdown]
# ## In code
#
# The four steps, as matrices. Loops over i and j become one product:
#
# $$\text{Attention}(Q, K, V) = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right) V
# \qquad \text{(Vaswani et al. 2017, equation 1)}$$

# %%
S = q @ k.T / math.sqrt(2)  # [N, d] @ [d, N] -> [N, N]   steps 1 and 2
A = S.softmax(dim=-1)  # [N, N], each row sums to 1       step 3
out = A @ v  # [N, N] @ [N, d] -> [N, d]                  step 4
print("same weights as by hand:", torch.allclose(A, weights))
print("same output as by hand: ", torch.allclose(out, output))

# %% [markdown]
# One thing in `softmax` differs from our loop. e¹⁰⁰ is more than a 32-bit number can hold. So PyTorch subtracts the
# largest score of the row first. That changes nothing else: softmax looks at differences only.


# %%
def naive_softmax(row):
    return row.exp() / row.exp().sum()


row = torch.tensor([100.0, 99.0, 98.0])
print("naive:  ", [round(w, 2) for w in naive_softmax(row).tolist()])
print("shifted:", [round(w, 2) for w in naive_softmax(row - row.max()).tolist()])
print("PyTorch:", [round(w, 2) for w in row.softmax(0).tolist()])

# %% [markdown]
# The course's function, `scaled_dot_product_attention`, is the three lines above, for any number of batches in front.
# It gives back the weights too, because we want to look at them. PyTorch's own, `F.scaled_dot_product_attention`, is
# fast and does not show its weights. We compare them below.
#
# ### Where queries, keys and values come from
#
# From the tokens themselves, by three learned matrices:
#
# $$Q = Z W_Q \qquad K = Z W_K \qquad V = Z W_V$$
#
# One token z plays all three parts: it asks, it offers, it hands over. This is why it is called **self**-attention. The
# three matrices (with a bias each, in a ViT) are all that is learned. The formula above has no parameter of its own.

# %%
torch.manual_seed(0)
Z = torch.randn(5, 8, dtype=torch.float64)  # [N, D]: five tokens
W_q, W_k, W_v = torch.randn(3, 8, 4, dtype=torch.float64)  # [D, d] each
out, A = scaled_dot_product_attention(Z @ W_q, Z @ W_k, Z @ W_v)  # [N, D] @ [D, d] -> [N, d]
print("tokens", list(Z.shape), "-> output", list(out.shape), "with weights", list(A.shape))
for name, W in {"two matrices, W_q and W_k": W_k, "one for both, W_k = W_q": W_q}.items():
    S = (Z @ W_q) @ (Z @ W).T  # [N, N]: scores
    A = S.softmax(dim=-1)
    print(f"{name}: same score both ways {torch.allclose(S, S.T)}, same weight {torch.allclose(A, A.T)}")

# %% [markdown]
# Two matrices, one for asking and one for offering, make attention one-sided. An ear may need the eye more than the eye
# needs the ear. With one matrix for both, the scores would be mutual. (The weights not even then: each row shares out
# its own 1.)
#
# ### Masks: where not to look
#
# Sometimes a query must not look at a key. Then that score becomes −∞ *before* the softmax. e to the power −∞ is 0, so
# this key gets no weight, and the others share out the 1 among them. Masks come from language, and two of them are so
# common that you should know them.
#
# **Causal mask.** A language model learns to say the next word. So word i must not look at the words after it: it would
# read the answer. Query i may look at keys 0 to i.


# %%
def causal_mask(size):
    return torch.ones(size, size, dtype=torch.bool).tril()  # [N, N], True: may look. tril keeps the lower left


# %% [markdown]
# **Padding mask.** A batch is one tensor, but sentences differ in length. Short ones are filled up with empty words,
# and nobody may look at those. The mask forbids whole *columns*, and it differs from sentence to sentence.


# %%
def padding_mask(lengths, size):
    real = torch.arange(size) < lengths[:, None]  # [B, N]: is there a word at this place?
    return real[:, None, :]  # [B, 1, N]: the same for every query


causal, padding = causal_mask(4), padding_mask(torch.tensor([4, 2]), 4)
print("causal", list(causal.shape), " padding", list(padding.shape))

# %%
words = ["the", "cat", "sat", "down"]
tables = {"causal": causal, "padding: 'the cat'": padding[1].expand(4, 4), "both": causal & padding[1]}
figure, axes = plots.new_figure(1, 3, size=(9, 3))
for ax, (title, allowed) in zip(axes[0], tables.items(), strict=True):
    columns = words if title == "causal" else ["the", "cat", "-", "-"]
    plots.draw_matrix(ax, allowed.int(), title, rows=columns, columns=columns, decimals=0, cmap="Greys_r")
plots.show(
    figure,
    alt="Three tables of 4 queries by 4 keys. Causal: the lower left is allowed. Padding: the first two columns. Both: what the two have in common.",
    caption="Rows ask, columns are looked at. White, 1: may look. Black, 0: may not.",
)

# %% [markdown]
# Go back to the explorer, and choose a mask there (`m`). With the causal one, what can query 0 still see?
#
# <details><summary>Answer</summary>
#
# Only key 0. Its weight is 1, and the output is value 0.
#
# </details>
#
# A mask comes in two forms. The **boolean** one says True where a query may look. The **additive** one is added to the
# scores: 0 where it may look, −∞ where not. PyTorch's function and the course's take both. (Careful: in PyTorch's older
# `nn.MultiheadAttention` True means the opposite, may *not* look.) If padding is masked, then what stands there must
# not matter, and a short sentence must get what it gets alone:

# %%
Q, K, V = torch.randn(3, 2, 4, 8, dtype=torch.float64)  # [B=2, N=4, d=8] each: two sentences
additive = torch.zeros(padding.shape, dtype=torch.float64).masked_fill(~padding, -torch.inf)
masked, _ = scaled_dot_product_attention(Q, K, V, padding)
added, _ = scaled_dot_product_attention(Q, K, V, additive)
alone, _ = scaled_dot_product_attention(Q[1, :2], K[1, :2], V[1, :2])  # the short sentence without padding
K[1, 2:], V[1, 2:] = 100, -100  # other numbers in the padding
print("both forms agree:             ", torch.equal(masked, added))
print("padding does not matter:      ", torch.equal(masked, scaled_dot_product_attention(Q, K, V, padding)[0]))
print("the short sentence, as alone: ", torch.allclose(masked[1, :2], alone, rtol=0, atol=1e-12))

# %% [markdown]
# And if a query may look at *nothing*? Then every score of its row is −∞, and softmax shares out 1 among nobody: 0
# divided by 0. The result is NaN, "not a number". A NaN spreads to all it touches, and after one step of training the
# model is lost.

# %%
nothing = torch.full((3,), -torch.inf)
print("softmax of nothing:", nothing.softmax(0).tolist())
blind = torch.ones(3, 3, dtype=torch.bool)
blind[1] = False  # query 1 may look at nothing
print("PyTorch's function:", F.scaled_dot_product_attention(q[None], k[None], v[None], blind)[0, 1].tolist())
try:
    scaled_dot_product_attention(q, k, v, blind)
except ValueError as error:
    print("the course's:      ", error)

# %% [markdown]
# PyTorch's function now quietly answers 0, and hides the mistake. The course's refuses. It happens easily: mask the
# padded *rows* as well as the columns, and padded queries are blind. The cure is to let them look at something. Nobody
# reads what they find.
#
# **A ViT has neither mask.** All pictures of a batch have the same number of patches, so nothing is padded. (Models
# that pack pictures of several sizes into one sequence do need a mask: Dehghani et al. 2023, *Patch n' Pack*.) And a
# picture has no before and after. What would a causal mask do to it? The class token stands first, at place 0:

# %%
class_token, patches = torch.randn(1, 8), torch.randn(2, 4, 8)  # one class token, two pictures of 4 patches
layers = torch.randn(3, 3, 8, 8) / 3  # three layers of W_q, W_k, W_v
for name, mask in {"no mask": None, "causal": causal_mask(5)}.items():
    found = []
    for picture in patches:
        z = torch.cat([class_token, picture])  # [N+1, D]
        for W_q, W_k, W_v in layers:
            z, _ = scaled_dot_product_attention(z @ W_q, z @ W_k, z @ W_v, mask)
        found.append(z[0])  # what the class token knows in the end
    print(f"{name:<8} the class token knows the same of both pictures: {torch.equal(*found)}")

# %% [markdown]
# With a causal mask the class token sees itself alone, in every layer. All pictures would get the same answer.
#
# ## In a picture you can touch
#
# Here is attention in a model that was trained: the course's own small ViT, on pictures of clothes. It cuts 28×28
# pixels into 49 patches, and it has one class token. You see its **scores**, which are the fits before the softmax, and
# its **weights**, which are its shares after it. It starts with the class token picked. Choose layer and head with the
# sliders, or click one of the small maps. Keys work once you have clicked the picture: the arrows pick a patch, `c` the
# class token, Page Up and Page Down another layer, `+` and `-` change the temperature. Point at a map to read off the
# score and the weight of one patch. Each layer has several *heads*, each with its own W_Q, W_K and W_V; lesson 5 is
# about them. (Layers, heads, patches, rows and columns are all counted from 0.)
#
# 1. Layer 2, class token. Does head 0 look at the trousers, or at the background? And head 2?
# 2. Layer 5, head 0, class token. Point at patch 18, in row 2 and column 4. Its score is negative. Is its weight 0?
# 3. Raise the temperature. What happens to the weights, and what to the scores?

# %%
model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
image = data.test_images[[2]]  # [1, 1, 28, 28]
maps = attention_maps(model, model.card.normalize(image))  # one [1, h, 50, 50] per layer, after the softmax
before = attention_scores(model, model.card.normalize(image))  # the same, before it
print(len(maps), "layers, each", list(maps[0].shape), "= [B, h, N+1, N+1]")
print("softmax of the scores gives the weights:", torch.allclose(before[0].softmax(-1), maps[0], atol=1e-6))

# %%
AttentionLab(image[0], [layer[0] for layer in maps], grid_size=model.grid_size, scores=[layer[0] for layer in before])

# %% [markdown]
# <details><summary>What there was to see</summary>
#
# 1. Head 0 looks at the trousers and almost nowhere else. Head 2 looks at the background. The next cell counts it.
# 2. No: the score is −0.81, the weight 0.4%. e to a negative power is small, and still positive. Only −∞ gives 0.
#    (In float32 so does a score that lies 104 or more below the largest: e to the power −104 is too small to be kept.)
# 3. The weights become more even. The scores stay as they are: they are divided by the temperature on the way into the
#    softmax.
#
# </details>

# %%
squares = image.float().unfold(2, 4, 4).unfold(3, 4, 4)  # [1, 1, 7, 7, 4, 4]
bright = squares.mean(dim=(4, 5)).flatten() > 20  # [49]: the patches with trousers
for head in (0, 2):
    itself, row = maps[2][0, head, 0, 0], maps[2][0, head, 0, 1:]  # layer 2: how the class token shares out its 1
    on, off = row[bright].sum(), row[~bright].sum()
    print(f"head {head}: {on:.0%} on the trousers ({bright.float().mean():.0%} of the patches)", end=", ")
    print(f"{off:.0%} on the background, {itself:.0%} on the class token itself")
score, weight = before[5][0, 0, 0, 1 + 18], maps[5][0, 0, 0, 1 + 18]  # token 0 is the class token
print(f"layer 5, head 0: the class token gives patch 18 a score of {score:.2f} and a weight of {weight:.1%}")

# %% [markdown]
# ## Claims, tested
#
# Notes on attention make these claims.
#
# ### "softmax(QKᵀ/√d)V is all there is"
#
# If so, our three lines and PyTorch's function, which was written by others in another language, must give the same
# numbers for whatever we put in. Fifty shapes at random, with and without a mask, in 64 bits:

# %%
torch.manual_seed(0)
largest = 0
for _ in range(50):
    B, N, M, d, d_v = torch.randint(1, 9, (5,)).tolist()  # N queries may look at M keys: the two need not be equal
    Q, K, V = (torch.randn(B, n, m, dtype=torch.float64) for n, m in ((N, d), (M, d), (M, d_v)))
    mask = torch.rand(N, M) < 0.7
    mask[:, 0] = True  # no blind query
    for allowed in (None, mask):
        ours, _ = scaled_dot_product_attention(Q, K, V, allowed)
        largest = max(largest, (ours - F.scaled_dot_product_attention(Q, K, V, allowed)).abs().max().item())

# %% tags=["claim-A1"]
hand = F.scaled_dot_product_attention(q[None].double(), k[None].double(), v[None].double())[0]
ours, _ = scaled_dot_product_attention(q.double(), k.double(), v.double())
largest = max(largest, (ours - hand).abs().max().item())
print("largest difference below 0.000000000001:", largest < 1e-12)
print("the three tokens by hand, first output: ", [round(x, 1) for x in hand[0].tolist()])
print(judge(largest < 1e-12, "by hand, as matrices and in the library it is the same"))

# %% [markdown]
# ### "The square root keeps the softmax out of saturation"
#
# Take random queries and keys of d numbers, each with mean 0 and variance 1. Their dot product is a sum of d such
# products, so its variance is d, and its usual size √d. Long vectors give large scores. And softmax of large scores
# gives nearly everything to one key. This is called **saturation**. Why is it bad? With a pencil: two keys, with
# weights w and 1 − w. If the first score grows a little, w grows w·(1 − w) times as much. At w = 0.5 that is 0.25. At w
# = 0.99 it is 0.0099. A softmax that has made up its mind hardly reacts, so hardly any gradient comes through, and it
# cannot learn.

# %%
for w in (0.5, 0.99):
    pair = torch.tensor([math.log(w / (1 - w)), 0.0], requires_grad=True)  # scores with these weights
    pair.softmax(0)[0].backward()
    print(f"weight {w:.2f}: slope {pair.grad[0].item():.4f} = w·(1 - w)")

# %% [markdown]
# Now with 64 keys. We measure the **entropy** of the weights (ln 64 = 4.16 if 64 keys share evenly, 0 if one takes
# all), and the **gradient** that flows back through the softmax: for each query its length, and of 200 queries the
# median and the mean.


# %%
def spread_and_gradient(d, scale, keys=64, queries=200):
    torch.manual_seed(0)
    scores = (torch.randn(queries, d) @ torch.randn(keys, d).T * scale).requires_grad_()
    weights = scores.softmax(dim=-1)
    entropy = -(weights * weights.clamp_min(1e-30).log()).sum(-1).mean()
    weights.max(dim=-1).values.sum().backward()  # how does the largest weight react to the scores?
    lengths = scores.grad.norm(dim=-1)
    return entropy.item(), lengths.median().item(), lengths.mean().item()


dims = [1, 4, 16, 64, 256, 1024]
plain = [spread_and_gradient(d, scale=1) for d in dims]
scaled = [spread_and_gradient(d, scale=1 / math.sqrt(d)) for d in dims]

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 2, size=(10, 3.6))
shown = [(axes[0, 0], 0, "", "-"), (axes[0, 1], 1, ", median", "-"), (axes[0, 1], 2, ", mean", "--")]
for ax, which, name, style in shown:
    lines = {f"divided by √d{name}": [s[which] for s in scaled], f"not divided{name}": [s[which] for s in plain]}
    label = "gradient" if which else "entropy of the weights"
    plots.draw_lines(ax, dims, lines, "d, numbers in a query", label, marker="o", linestyle=style)
    ax.set_xscale("log", base=2)
axes[0, 1].set_yscale("log")
plots.show(
    figure,
    alt="With the division, entropy and gradient stay level. Without it the entropy falls. The gradient first rises, then falls: its median to nearly nothing, its mean to about half.",
)

# %% tags=["claim-A2"]
level = max(s[0] for s in scaled) - min(s[0] for s in scaled) < 0.6
print(f"entropy at d = 1024: divided {scaled[-1][0]:.1f}, not divided {plain[-1][0]:.1f}; level if divided: {level}")
smaller = {d: (p[1] < s[1], p[2] < s[2]) for d, p, s in zip(dims, plain, scaled, strict=True)}
for d in (4, 64, 1024):
    print(f"d = {d:>4}: without the division a smaller gradient: median {smaller[d][0]}, mean {smaller[d][1]}")
print(judge(level and plain[-1][0] < 1, "for random vectors the entropy stays level with the division, not without"))
less = {f"d = {d}": all(smaller[d]) for d in (4, 64, 1024)}
print(judge(less, "without the division the gradient is smaller", holds="if"))

# %% [markdown]
# So the scores do saturate the softmax. But from d = 4 to d = 64 the gradient is *larger* without the division: the
# softmax is undecided between two or three keys, and there it reacts most. Only for larger d it falls, to nearly
# nothing for most queries; the mean is held up by the few that are still undecided. Dividing by √d brings the variance
# of the scores back to 1, whatever d is. This is the reason that the paper *suspects*, as it says itself (Vaswani et
# al. 2017, section 3.2.1).
#
# So much for random vectors. But W_Q and W_K are learned. Could they not learn to be smaller, and make up for a
# division that is missing? What did the scores of the model from above do, compared with an untrained copy of it?


# %%
def spreads_of(scores):
    return [one.std().item() for layer in scores for one in layer[0]]  # one for each head of each layer


torch.manual_seed(0)
untrained = spreads_of(attention_scores(ViT(model.config), model.card.normalize(image)))
learned = spreads_of(before)
print(f"standard deviation of the scores in {len(learned)} heads")
print(f"  untrained: {mean(untrained):.1f} on average, {max(untrained):.1f} at most")
print(f"  trained:   {mean(learned):.1f} on average, {max(learned):.1f} at most")

# %% [markdown]
# So W_Q and W_K are free to change the scale, and here they raised it. What happens if one *trains* without the
# division, or with another one? The course has done it, with one head of d = 64 numbers and with four heads of d = 16.
# D is 64 in both. One of the divisors is a mistake that people make: √D instead of √d.

# %%
study = load_study("scale")
print("made by:", study.command)
print(f"{study.settings['training']['epochs']} epochs of {study.data['training']:,} pictures, seeds {study.seeds}")
accuracies = {name.replace("divided by 1", "not divided"): values for name, values in study.accuracies().items()}
figure, axes = plots.new_figure(size=(8, 3.4))
plots.draw_spread(axes[0, 0], accuracies, xlabel="test accuracy, one point per seed")
plots.show(
    figure,
    alt=f"A row of points for each of: {'; '.join(accuracies)}. For each d, the row that is not divided lies left of the others.",
)

# %% [markdown]
# How many points does √d gain over each of the others, seed by seed? Three seeds are few, so the intervals are wide.

# %% tags=["claim-A2"]
gains = {}  # of each other variant: √d with as many heads, and the variant
for name in study.variants:
    size, divisor = name.split(", divided by ")
    if divisor != "sqrt(d)":
        gains[name] = (study.scores(f"{size}, divided by sqrt(d)"), study.scores(name))
undivided = {name: pair for name, pair in gains.items() if name.endswith(" 1")}
others = {name: pair for name, pair in gains.items() if name not in undivided}
print(compare_each(undivided, "after training, √d is better than no division"))

# %%
print(compare_each(others, "after training, √d is better than another divisor"))

# %% [markdown]
# So one should divide, at this learning rate. Whether √d is better than the other divisors, these seeds do not show. With
# d = 64 more was lost without it than with d = 16, as the theory says (although the number of heads differs too). Is the reason a gradient that is too small? We look at the
# same models before the first step, with d = 64: how much of its 1 does a query of the first block give to one single
# token, and how large is the gradient of the loss on its W_Q?


# %%
def before_training(recipe, pictures, seed):
    model = make_model(recipe, pictures, seed)
    images = pictures.normalize(pictures.train_images[:256])
    F.cross_entropy(model(images), pictures.train_labels[:256]).backward()
    with torch.no_grad():
        largest = attention_maps(model, images)[0].max(dim=-1).values.mean().item()
    return largest, model.blocks[0].attn.qkv.weight.grad[:64].norm().item()  # W_Q is the upper third of [3·D, D]


# %%
begin = {}
for divisor in ("sqrt(d)", "1", "d"):
    recipe = EXPERIMENTS["scale"].variants[f"d = 64, divided by {divisor}"]
    pictures = make_data(recipe)
    begin[divisor] = [before_training(recipe, pictures, seed) for seed in range(5)]
print(f"If a query gave all 17 tokens the same, that would be 1/17 = {1 / 17:.2f} each. Of 5 seeds, how many have")
print("divided by   a largest weight > 0.5   a largest weight < 0.1   a gradient larger than with √d")
larger = {}
for divisor, runs in begin.items():
    larger[divisor] = sum(run[1] > root[1] for run, root in zip(runs, begin["sqrt(d)"], strict=True))
    sharp, even = sum(run[0] > 0.5 for run in runs), sum(run[0] < 0.1 for run in runs)
    print(f"{divisor:<13}{sharp:<25}{even:<25}{larger[divisor] if divisor != 'sqrt(d)' else '-'}")
gradients = {divisor: [gradient for _, gradient in runs] for divisor, runs in begin.items()}
names, claim = ("with √d", "without"), "too little gradient comes through without the division"
print(compare(gradients["sqrt(d)"], gradients["1"], claim, names=names))

# %% [markdown]
# The models that end worst have the *larger* gradient at the start. What sets them apart is the choice: before the
# first step, each query already copies mostly one token, picked by chance. With too large a divisor a query starts as
# nearly the plain mean of all tokens; its gradient is smaller than with √d, and still training can sharpen it from
# there. Why the first is the worse start, this experiment does not show. √d is a good place to start, and no law.

# %% [markdown]
# ### "Put −∞ in the lower left" and "softmax the columns"
#
# Which corner holds the looks that a causal mask forbids, and along which axis do we sum to 1? It depends on how you
# draw the table.
#
# - As code writes it, **rows are queries**, columns are keys. "After" is to the right of the diagonal: the *upper
#   right*. Each query shares out 1, so each *row* sums to 1.
# - Many videos draw tokens as columns. Q, K and V are [d, N], the table is KᵀQ, and **columns are queries**.
#
# The witness is PyTorch's own causal mask. It does not show its weights. But if value j is all 0 except for a 1 at
# place j, then the output *is* the row of weights.

# %%
torch.manual_seed(0)
Q, K = torch.randn(2, 1, 4, 6, dtype=torch.float64)  # [B=1, N=4, d=6] each
unit = torch.eye(4, dtype=torch.float64)[None]  # [1, 4, 4]: value j has its 1 at place j
theirs = F.scaled_dot_product_attention(Q, K, unit, is_causal=True)[0]  # [4, 4]: rows are queries
Qc, Kc = Q[0].T, K[0].T  # [d, N]: tokens as columns
drawn = (Kc.T @ Qc / math.sqrt(6)).masked_fill(torch.ones(4, 4).tril(-1) == 1, -torch.inf).softmax(dim=0)
figure, axes = plots.new_figure(1, 2, size=(8, 3.3))
plots.draw_matrix(axes[0, 0], theirs, "PyTorch, rows ask: 0 upper right", rows=words, columns=words)
plots.draw_matrix(axes[0, 1], drawn, "columns ask: −∞ was lower left", rows=words, columns=words)
plots.show(
    figure,
    alt="Two 4 by 4 tables of causal weights. The left one is zero upper right, and rows sum to 1; the right one is its mirror image.",
)

# %% tags=["claim-A3", "claim-A4"]
upper_right = torch.equal(theirs == 0, ~causal_mask(4))  # zero there, and nowhere else
same = torch.allclose(drawn, theirs.T, rtol=0, atol=1e-12)
mixed = torch.allclose((Q[0] @ Kc / math.sqrt(6)).masked_fill(~causal_mask(4), -torch.inf).softmax(dim=0), theirs)
print("PyTorch's table is 0 exactly in the upper right:              ", upper_right)
print("columns as queries, −∞ lower left, softmax down: its transpose:", same)
print("rows as queries, but softmax down: the same table:            ", mixed)
drawings = {"columns hold the queries": upper_right and same, "rows do": mixed}
print(judge(drawings, "one masks the lower left and softmaxes the columns", holds="if"))

# %% [markdown]
# The last line but one is the mistake to beware of: to take the table from the code and the axis from a drawing with
# columns as queries. Nothing crashes then.
#
# ### "Attention costs N²"
#
# Count the multiplications in one block with N tokens of D numbers, with the usual MLP that is 4 times as wide (lesson
# 6 shows it). A product of [a, b] and [b, c] takes a·b·c of them (lesson 1 counted the additions too: twice as much):
#
# | part | multiplications | grows with N |
# |---|---|---|
# | making Q, K, V and the output projection (lesson 5) | 4·N·D² | N |
# | QKᵀ: [N, D] and [D, N] | N²·D | **N²** |
# | weights and V: [N, N] and [N, D] | N²·D | **N²** |
# | MLP, D → 4·D → D | 8·N·D² | N |
#
# So the claim is true of two lines out of four. When does N² win? Set it equal to the MLP:
#
# $$2 N^2 D = 8 N D^2 \quad\Longleftrightarrow\quad N = 4 D$$
#
# And it overtakes all the rest, 12·N·D², at N = 6·D. PyTorch can count for us. On the device `meta` tensors have a
# shape and no numbers, so that nothing is really computed, and ViT-B's block costs no time.

# %%
from torch.utils.flop_counter import FlopCounterMode


def multiplications(function, *inputs):
    with FlopCounterMode(display=False) as counter:
        function(*inputs)
    return counter.get_total_flops() // 2  # it counts a multiplication and an addition as two


# %%
D, right, counted = 768, [], {}
with torch.device("meta"):
    block = EncoderBlock(D, num_heads=12)
    for N in (197, D, 4 * D, 6 * D):
        tokens = torch.empty(1, N, D)
        attention = multiplications(lambda t: block.attn(t, return_weights=True), tokens)
        mlp = multiplications(block.mlp, tokens)
        squared = attention - 4 * N * D * D
        right.append(squared == 2 * N * N * D and mlp == 8 * N * D * D)
        counted[N] = {"one counts QKᵀ and weights · V": squared, "the projections": attention - squared, "the MLP": mlp}
        print(f"N = {N:>5,}: N² part {squared:>14,}   MLP {mlp:>14,}   N² part / MLP = {squared / mlp:.2f}")
print("as the table says:", all(right))

# %%
tokens = torch.logspace(1, 4.9, 50, base=10).tolist()
lines = {
    "QKᵀ and weights · V": [2 * n * n * D for n in tokens],
    "MLP": [8 * n * D * D for n in tokens],
    "Q, K, V and projection": [4 * n * D * D for n in tokens],
}

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(size=(8, 3.8))
plots.draw_lines(axes[0, 0], tokens, lines, "tokens N", "multiplications in one block")
axes[0, 0].set(xscale="log", yscale="log", ylim=(1e5, 1e14))
axes[0, 0].plot(4 * D, 8 * 4 * D * D * D, "ko", markersize=7)
axes[0, 0].text(4 * D * 0.85, 2.2e11, "N = 4·D", ha="right")
for size in (32, 16, 8, 4, 1):
    axes[0, 0].axvline((224 // size) ** 2, color="black", linewidth=0.8, linestyle=":")
    axes[0, 0].text((224 // size) ** 2, 2e5, f" P={size}", fontsize=8)
plots.show(
    figure,
    alt="Multiplications against tokens. The line of N squared is steeper, and crosses the MLP at 3,072 tokens.",
    caption="ViT-B on 224x224 pictures; dotted: patch sizes. At P = 16 the N² part is small; at P = 4 it is about the MLP's.",
)

# %%
N = 196 + 1
share = 2 * N * N * D / (2 * N * N * D + 12 * N * D * D)
print(f"ViT-B/16 at 224x224: the N² part is {share:.1%} of a block's multiplications")
side = math.isqrt(4 * D) * 16
print(f"it overtakes the MLP at N = 4·D = {4 * D:,} tokens: at P = 16, a picture of about {side}x{side}")

# %% [markdown]
# **Memory** is another matter. The table of weights has N² numbers for each head. While training, it must be kept: the
# gradient needs it. But it need not be stored at all. A *fused* kernel works through the table piece by piece. For each
# query it keeps a running largest score, a running sum and a running output. For the way back it stores the largest score
# and the sum, two numbers for each query, and computes the pieces again (Dao et al. 2022, *FlashAttention*; since
# FlashAttention-2, Dao 2023, one number: the logarithm of the sum of all e to the score). `F.scaled_dot_product_attention`
# does so where it has such a kernel. We ask autograd what each of the two keeps for the way back:


# %%
def kept_bytes(function, N, d=64):
    """How many bytes autograd keeps for the way back, for one head of N tokens."""
    q, k, v = (torch.randn(1, 1, N, d, requires_grad=True) for _ in range(3))
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = function(q, k, v)  # noqa: F841  while it lives, so does what it keeps
    return sum(kept.values())


# %%
plain = [kept_bytes(lambda *qkv: scaled_dot_product_attention(*qkv)[0], N) for N in (1024, 2048)]
fused = [kept_bytes(F.scaled_dot_product_attention, N) for N in (1024, 2048)]
whole, small = plain[1] >= 4 * 2048**2, fused[1] < 2048**2  # against 4 bytes for each number of the table
print(f"plain keeps the table of N² numbers:   {whole}; for twice the tokens {plain[1] / plain[0]:.0f} times as much")
print(f"fused keeps less than a quarter of it: {small}; for twice the tokens {fused[1] / fused[0]:.0f} times as much")

# %% [markdown]
# So far we have counted. Does the clock agree? The next cell reads a record: one thread, forward only, 4 heads at D =
# 64 and 3 at D = 192. The time holds QKᵀ, the softmax and weights · V, without the projections. "Plain" is the course's
# function, "fused" PyTorch's. Each is divided by the time of the MLP at the same N. Counted, that ratio is 2·N²·D /
# 8·N·D² = N / (4·D).

# %%
record = json.loads((DATA_FOLDER / "results" / "benchmark_cost.json").read_text())
print("made by:", record["command"], "on", record["environment"]["hardware"])
figure, axes = plots.new_figure(1, 2, size=(10, 3.4), sharey=True)
for ax, crossing in zip(axes[0], record["crossovers"], strict=True):
    rows = [row for row in record["rows"] if row["D"] == crossing["D"]]
    lines = {
        name: [row["over_mlp"][path] for row in rows] for path, name in (("explicit", "plain"), ("fused", "fused"))
    }
    lines["counted, N / (4·D)"] = [row["N"] / crossing["counted"] for row in rows]
    plots.draw_lines(ax, [row["N"] for row in rows], lines, "tokens N", "time, in times of the MLP", marker="o")
    ax.axhline(1, color="black", linewidth=0.8, linestyle=":")
    ax.set(title=f"D = {crossing['D']}", xscale="log", yscale="log")
plots.show(
    figure,
    alt="Time of attention over time of the MLP against tokens, for two widths. All lines rise. The plain one lies far above the counted one, the fused one near it.",
    caption="Above the dotted line attention takes longer than the MLP.",
)

# %% tags=["claim-A7"]
for row in record["crossovers"]:
    print(f"D = {row['D']:>3}: as long as the MLP at N = {row['counted']} counted, {row['explicit']} plain, ", end="")
    print(f"{row['fused']} fused; fused as counted, to 10%: {abs(row['fused'] / row['counted'] - 1) < 0.1}")
sooner = all(row["explicit"] < 0.9 * row["counted"] for row in record["crossovers"])
print("on the clock the plain way crosses the MLP", "earlier than counted" if sooner else "as counted")
print(f"in ViT-B/16 at 224x224 {1 - share:.0%} of the work grows with N alone")
squares = {part: counted[4 * D][part] == 16 * counted[D][part] for part in counted[D]}
print(judge(squares, "4 times the tokens cost 16 times the work", holds="if"))

# %% [markdown]
# Multiplications are not all there is. The softmax is not counted, and the plain way writes the table of N² numbers
# into memory and reads it again, twice. At D = 64 and the largest N this costs:

# %%
largest = max((row for row in record["rows"] if row["D"] == 64), key=lambda row: row["N"])
print(f"D = 64, N = {largest['N']:,}: plain takes as long as {largest['over_mlp']['explicit']:.0f} MLPs", end=", ")
print(f"fused {largest['over_mlp']['fused']:.0f}; counted {largest['N'] / (4 * 64):.0f}")

# %% [markdown]
# ### "Pixels as tokens are out of the question, because the table is too large"
#
# So lesson 1 found. Does it hold with a fused kernel? We count for ViT-B, one picture, all 12 heads of all 12 layers. We
# compare with what the MLPs keep: for each token 4·D numbers before the function between their two matrices (lesson 6),
# and 4·D after it.

# %% tags=["claim-P4"]
N, gigabyte = 224 * 224, 1e9
tables = 12 * 12 * 4 * N * N / gigabyte  # layers, heads, bytes
without = 12 * 12 * 4 * (4 * N * 64 + N) / gigabyte  # q, k, v, output, and one number for each query
hidden = 12 * 2 * 4 * N * 4 * D / gigabyte
print("formula and measurement agree to 10%:", abs(4 * (4 * 2048 * 64 + 2048) / fused[1] - 1) < 0.1)
print(f"P = 1 at 224x224: tables {tables:,.0f} GB; fused {without:.1f} GB; the MLPs {hidden:.1f} GB")
squared, rest = (lambda n: 24 * n * n * D), (lambda n: 144 * n * D * D)  # 12 blocks
times = (squared(N) + rest(N)) / (squared(196) + rest(196))
print(f"multiplications against P = 16: {times:,.0f} times, for {N // 196} times the tokens")
takes_most = {"the table is kept": tables > hidden, "the kernel is fused": without > hidden}
print(judge(takes_most, "attention takes more memory than the MLPs", holds="if"))
print(judge(squared(N) > rest(N), "most of the work is the N² part"))

# %% [markdown]
# The memory that is left still grows with the number of tokens, and the MLPs need more of it. It is the work that
# decides.
#
# ### A detour for those who come from text
#
# (15 minutes, up to the exercises, which do not need it. Skip it if you do not come from text.)
#
# #### "aunt − uncle is woman − man, and the unembedding is the transposed embedding"
#
# A language model's tokens are words. Each word has a row of D numbers in a table, its **embedding**, as each patch has
# one after lesson 1. Here are ten words with two numbers each, written by hand: to the right is female, up is older.

# %%
table = {
    "man": (-2, 0), "woman": (2, 0), "boy": (-2, -2), "girl": (2.1, -1.9), "uncle": (-1.8, 2.1), "aunt": (2.1, 1.9),
    "baby": (0, -3), "hat": (0.3, 0.4), "book": (-0.5, 0.9), "sad": (0.4, -0.8),
}  # fmt: skip
E = {word: torch.tensor(place, dtype=torch.float64) for word, place in table.items()}
print("aunt - uncle =", [round(x, 1) for x in (E["aunt"] - E["uncle"]).tolist()])
print("woman - man  =", [round(x, 1) for x in (E["woman"] - E["man"]).tolist()])
goal = E["man"] + E["aunt"] - E["uncle"]  # go from man as you go from uncle to aunt
nearest = min(E, key=lambda word: (E[word] - goal).norm().item())
print("man + aunt - uncle is nearest to:", nearest)

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(size=(7, 4.2))
ax = axes[0, 0]
for word, (x, y) in table.items():
    ax.plot(x, y, "o", color=plots.GREY)
    ax.text(x, y + 0.15, word, ha="center", va="bottom")
for start, end, colour in (("uncle", "aunt", plots.ORANGE), ("man", "woman", plots.BLUE)):
    ax.annotate("", E[end].tolist(), E[start].tolist(), arrowprops={"arrowstyle": "->", "color": colour, "lw": 2})
ax.plot(*goal.tolist(), "x", color=plots.ORANGE, markersize=10, markeredgewidth=2)
ax.set(xlabel="male … female", ylabel="younger … older", xlim=(-3.2, 3.2), ylim=(-3.6, 3))
plots.show(
    figure,
    alt="Ten words in the plane. The arrow from uncle to aunt is nearly parallel to that from man to woman, and as long. A cross beside woman marks man plus aunt minus uncle.",
    caption="The cross: man + aunt − uncle.",
)

# %% [markdown]
# Of course it works: we have put the words there. Does a model do that by itself? And what is the **unembedding**? At
# the end a language model has a vector z for a place, and wants a score for every word of its vocabulary of V words: z
# U, with a matrix U of [D, V]. Many models take U = Eᵀ, the embedding turned on its side. Then a word's score is the
# dot product of z with that word's own embedding. This is called **tied** weights (Vaswani et al. 2017, section 3.4;
# Press and Wolf 2017).
#
# We train both kinds, in seconds, on forty sentences about ten people. The model is one layer of causal attention.

# %%
PEOPLE = {"man": "woman", "boy": "girl", "uncle": "aunt", "father": "mother", "king": "queen"}
texts = []
for pair, place in zip(PEOPLE.items(), ("work", "school", "sea", "home", "court"), strict=True):
    for who, he, his in zip(pair, ("he", "she"), ("his", "her"), strict=True):
        texts.append(f"the {who} lost {his} hat . {he} was sad")
        texts.append(f"the {who} found {his} book . {he} was glad")
        texts.append(f"the {who} was at {place} and {he} was glad")
        texts.append(f"at {place} the {who} lost {his} book . {he}")
vocabulary = sorted({word for text in texts for word in text.split()})
number = {word: i for i, word in enumerate(vocabulary)}
sentences = torch.tensor([[number[word] for word in text.split()] for text in texts])  # [40, 9]
print(len(texts), "sentences such as:", texts[4], "|", len(vocabulary), "words")


# %%
class TinyLanguageModel(nn.Module):
    def __init__(self, tied, dim=16):
        super().__init__()
        self.E = nn.Parameter(0.3 * torch.randn(len(vocabulary), dim))  # [V, D]
        self.positions = nn.Parameter(0.3 * torch.randn(9, dim))
        self.W = nn.Parameter(torch.randn(3, dim, dim) / 4)  # W_q, W_k, W_v
        self.U = None if tied else nn.Parameter(0.3 * torch.randn(dim, len(vocabulary)))  # [D, V]

    def forward(self, ids):
        z = self.E[ids] + self.positions[: ids.shape[1]]  # [B, N, D]
        q, k, v = (z @ W for W in self.W)
        z = z + scaled_dot_product_attention(q, k, v, causal_mask(ids.shape[1]))[0]
        return z @ (self.E.T if self.U is None else self.U)  # [B, N, V]: a score for every word


# %%
def learn(tied, seed, steps=150):
    torch.manual_seed(seed)
    model = TinyLanguageModel(tied)
    untrained = model.E.detach().clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02, weight_decay=0)
    for _ in range(steps):
        scores = model(sentences[:, :-1])  # from the words so far …
        loss = F.cross_entropy(scores.flatten(0, 1), sentences[:, 1:].flatten())  # … to the next one
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    embedding = model.E.detach()
    unembedding = embedding.T if tied else model.U.detach()
    return untrained, embedding, unembedding, loss.item()


# %%
trained = {tied: [learn(tied, seed) for seed in range(6)] for tied in (True, False)}
for tied, runs in trained.items():
    print("tied:  " if tied else "untied:", "loss below 0.8 with every seed:", all(run[3] < 0.8 for run in runs))
print(f"guessing among {len(vocabulary)} words would give ln {len(vocabulary)} = {math.log(len(vocabulary)):.1f}")


# %%
def likeness(a, b):
    return F.cosine_similarity(a, b, dim=-1).mean().item()  # 1: the same direction, 0: nothing in common


def parallel(table):
    """Mean likeness of aunt - uncle, girl - boy, … with woman - man."""
    steps = torch.stack([table[number[she]] - table[number[he]] for he, she in PEOPLE.items()])
    return likeness(steps[1:], steps[:1])


def right_sums(table, barred):
    """Of the 20 sums such as man + aunt - uncle: how many have the right word nearest to them?"""
    right = 0
    for (man, woman), (uncle, aunt) in itertools.permutations(PEOPLE.items(), 2):
        alike = F.cosine_similarity(table, table[number[man]] + table[number[aunt]] - table[number[uncle]], dim=-1)
        if barred:
            alike[[number[man], number[aunt], number[uncle]]] = -2  # the three words of the sum may not be the answer
        right += alike.argmax().item() == number[woman]
    return right


# %%
start, after = (mean([parallel(run[which]) for run in trained[False]]) for which in (0, 1))
turned = {tied: mean([likeness(run[1], run[2].T) for run in runs]) for tied, runs in trained.items()}
hits = {barred: [right_sums(run[1], barred) for run in trained[False]] for barred in (False, True)}
print("untied, mean of six seeds:")
print(f"  likeness of 'aunt - uncle' to 'woman - man': untrained {abs(start):.1f}, trained {after:.1f}")
for barred, counts in hits.items():
    print("  words of the sum barred as answers:" if barred else "  all words allowed as answers:      ", end=" ")
    print(f"more than half of the 20 sums right with {sum(n > 10 for n in counts)} of 6 seeds")
print("  barring them gives more right answers:", sum(hits[True]) > sum(hits[False]))
print(f"likeness of embedding and transposed unembedding: tied {turned[True]:.1f}, untied {abs(turned[False]):.1f}")

# %% jupyter={"source_hidden": true}
tables = {"tied": trained[True][1], "untied": trained[False][1]}
few = [word for pair in PEOPLE.items() for word in pair]
figure, axes = plots.new_figure(1, 2, size=(10, 4.4))
for ax, (name, (_, embedding, unembedding, _)) in zip(axes[0], tables.items(), strict=True):
    ids = [number[word] for word in few]
    a, b = F.normalize(embedding[ids], dim=1), F.normalize(unembedding.T[ids], dim=1)
    options = {"decimals": None, "cmap": "RdBu_r", "vmin": -1, "vmax": 1}
    plots.draw_matrix(ax, a @ b.T, name, rows=few, columns=few, **options)
    ax.tick_params(axis="x", labelrotation=60)
plots.show(
    figure,
    alt="Two tables of likeness, ten people's embeddings against ten unembeddings. Tied: a red diagonal, and women are like women. Untied: no diagonal.",
    caption="Rows: embeddings. Columns: unembeddings. Red is alike, blue opposite, white unrelated. Tied: women are like women, men like men. Seed 1.",
)

# %% tags=["claim-A8"]
ways = [[parallel(run[which]) for run in trained[False]] for which in (1, 0)]
claim = "training makes aunt - uncle more like woman - man, by more than 0.3"
print(compare(*ways, claim, at_least=0.3, names=("likeness after training", "before")))
sums, claim = [n / 20 for n in hits[True]], "man + aunt - uncle is woman, and most such sums come out"
print(compare(sums, [0.5] * 6, claim, names=("sums that come out", "half"), unit="points"))
transposed = {"the weights are tied": turned[True] > 0.999, "they are not": turned[False] > 0.999}
print(judge(transposed, "the unembedding is the transposed embedding", holds="if"))

# %% [markdown]
# Nobody told the model what an aunt is. But in these sentences every woman is followed by *she* and *her*, and every
# man by *he* and *his*. That is a direction which pays, so training makes one. A common direction is not yet a sum that
# comes out: the words also differ in much else. When such sums are scored, the three words of the question are usually
# barred as answers; otherwise the nearest word is often one of them (Linzen 2016).
#
# The original Transformer and GPT-2 tie their weights; Llama 2 does not. **A ViT has nothing to tie.** Pixels go in and
# classes come out: its embedding is a matrix from the numbers of a patch to D, its head one from D to the classes.
#
# #### One word, three vectors
#
# The table gives *spring* one row, whatever the sentence. What does attention make of it? Again by hand. Three numbers
# for each word: the first says how much it means at all (small words: 0), the other two are a direction of meaning.

# %%
meaning = {
    "spring": (2, 0, 0), "river": (2, 0, 2), "winter": (2, -1.7, -1), "clock": (2, 1.7, -1),
    "the": (0, 0.1, 0), "of": (0, 0, 0.1), "after": (0, -0.1, 0), "a": (0, 0, -0.1),
}  # fmt: skip
phrases = ["the spring of the river", "the spring after the winter", "the spring of a clock"]
arrives = {}
for phrase in phrases:
    z = torch.tensor([meaning[word] for word in phrase.split()], dtype=torch.float64)  # [N, 3]
    out, weights = scaled_dot_product_attention(z, z, z)  # Q = K = V = Z: no matrices, to keep it by hand
    arrives[phrase] = out[1]  # 'spring' is word 1
    looks = zip(phrase.split(), weights[1].tolist(), strict=True)
    print(f"{phrase:<28} spring looks at", ", ".join(f"{word} {weight:.2f}" for word, weight in looks))

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(size=(6, 4.2))
ax = axes[0, 0]
for word, (_, x, y) in meaning.items():
    ax.plot(x, y, "o", color=plots.GREY)
    if word in ("spring", "river", "winter", "clock"):
        ax.text(x, y - 0.15, word, ha="center", va="top")
for (phrase, vector), colour in zip(arrives.items(), plots.COLOURS, strict=False):
    ax.annotate("", vector[1:].tolist(), (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "lw": 2.5})
    ax.plot([], [], color=colour, label=phrase)
ax.set(xlabel="meaning, number 2", ylabel="meaning, number 3", xlim=(-2.6, 2.6), ylim=(-1.8, 3.4))
ax.legend(frameon=False, loc="upper center", ncols=1, fontsize=9)
plots.show(
    figure,
    alt="Spring lies at the origin. Three arrows lead from it toward river, winter and clock, one for each sentence.",
    caption="Before attention 'spring' is the same point three times. After it, it is where the arrows end. The small words lie in the middle.",
)

# %%
nearest = {}
for phrase, vector in arrives.items():
    others = [word for word in meaning if word != "spring"]
    nearest[phrase] = max(others, key=lambda word: F.cosine_similarity(vector, torch.tensor(meaning[word]), dim=0))
    print(f"{phrase:<28} spring now leans to: {nearest[phrase]}")
print("one vector before, different ones after:", len(set(nearest.values())))

# %% [markdown]
# This is what a ViT does with an ear. Before the first layer, equal patches at equal places are equal tokens. After it,
# each has taken in some of its picture.

# %% [markdown] tags=["extra"]
# #### "*fluffy* attends to *creature*"
#
# *Extra.* In the words of the field, the token that asks *attends*, and takes in what the others say. In *a fluffy
# creature*, with a causal mask as in a language model, we change the value of one word. Whose output moves?

# %% tags=["extra", "claim-A9"]
torch.manual_seed(0)
said = ["a", "fluffy", "creature"]
q, k, v = torch.randn(3, 1, 3, 4, dtype=torch.float64)
before, _ = scaled_dot_product_attention(q, k, v, causal_mask(3))  # [1, 3, 4]
attends = {}
for j, word in enumerate(said[1:], start=1):
    other = v.clone()
    other[0, j] += 1
    moved = (scaled_dot_product_attention(q, k, other, causal_mask(3))[0] - before).abs().sum(-1)[0] > 0
    attends[word] = {said[i] for i in range(3) if moved[i] and i != j}  # these have taken in something of the word
    print(f"the value of {word} is changed; other outputs that move: {', '.join(attends[word]) or 'none'}")
print(judge("fluffy" in attends["creature"], "fluffy takes in something of creature, which comes after it"))

# %% [markdown] tags=["extra"]
# *creature* asks, and *fluffy* answers. So *creature* attends to *fluffy*, and comes out as a fluffy one. Some explanations
# use the word the other way round.
#
# #### "While training, every place predicts its next word at once; afterwards only the last vector answers"
#
# *Extra.* If so, one pass over a sentence gives what all its beginnings give, each run alone. An untrained model will do.

# %% tags=["extra", "claim-A10"]
reader = TinyLanguageModel(tied=True).double()
with torch.no_grad():
    at_once = reader(sentences)  # [40, 9, V]
    alone = torch.stack([reader(sentences[:, :n])[:, -1] for n in range(1, 10)], dim=1)  # of each beginning the last
claim = "one causal pass gives at each place what the words up to there, run alone, give at their last"
print(judge(torch.allclose(at_once, alone, rtol=0, atol=1e-12), claim))

# %% [markdown] tags=["extra"]
# This is the use of the causal mask. A ViT has none, and gives one answer for a picture, not one for each patch.
#
# #### "The embedding matrix holds the position too, and attention changes it: E + ΔE is the new embedding matrix"
#
# *Extra.* Look at the matrix before and after a sentence is read. In *the man was at work and he was glad* the word *was*
# stands at two places.

# %% tags=["extra", "claim-A12"]
before, was = reader.E.detach().clone(), [i for i, word in enumerate(texts[2].split()) if word == "was"]
with torch.no_grad():
    scores = reader(sentences[2:3])[0]  # [9, V]
print("'was' at places", was, "takes one row of E; what comes out differs:", not torch.allclose(*scores[was]))
changes = {
    "reading changes E": not torch.equal(before, reader.E),
    "E has more rows than there are words": len(before) > len(vocabulary),
}
for name, is_so in changes.items():
    print(f"{name}: {is_so}")
print(judge(any(changes.values()), "the embedding matrix holds positions, or changes while a sentence is read"))

# %% [markdown] tags=["extra"]
# Positions and what attention finds are added to the *token*, a copy of the row, at each place on its own. (Where tokens are
# written as columns, E has a column for each word.)
#
# #### "The Transformer also has a decoder"
#
# *Extra.* The first Transformer translates. Its encoder reads the sentence, as a ViT reads a picture. Its decoder writes
# the translation, and each of its blocks has three branches (Vaswani et al. 2017, section 3.1): attention with a causal
# mask, **cross-attention**, whose queries come from the decoder and whose keys and values come from the encoder, and the
# MLP. PyTorch has such a block. We compute it with our function, in one head. (Its norms come in lesson 6; here they stand
# before each branch, in the first Transformer after it.)

# %% tags=["extra", "claim-A11"]
decoder = nn.TransformerDecoderLayer(16, nhead=1, dim_feedforward=64, dropout=0, batch_first=True, norm_first=True)
decoder = decoder.double().eval()


def attend(part, x, y, allowed=None):  # queries from x, keys and values from y
    each = zip((x, y, y), part.in_proj_weight.chunk(3), part.in_proj_bias.chunk(3), strict=True)
    return part.out_proj(scaled_dot_product_attention(*(t @ W.T + b for t, W, b in each), allowed)[0])


read, x = torch.randn(2, 7, 16, dtype=torch.float64), torch.randn(2, 5, 16, dtype=torch.float64)  # 7 words in, 5 out
theirs = decoder(x, read, tgt_mask=~causal_mask(5))
z = decoder.norm1(x)
x = x + attend(decoder.self_attn, z, z, causal_mask(5))
x = x + attend(decoder.multihead_attn, decoder.norm2(x), read)
x = x + decoder.linear2(decoder.linear1(decoder.norm3(x)).relu())
equal = torch.allclose(x, theirs, rtol=0, atol=1e-12)
print(judge(equal, "a decoder's block is an encoder's with a causal mask, and cross-attention before the MLP"))

# %% jupyter={"source_hidden": true}
# A slip in an exercise must not find these names. To run an earlier cell again, run the notebook from the top.
used = """
A B D E K Kc M N PEOPLE Q Qc S V W W_k W_q W_v Z a accuracies added additive after allowed alone arrives at_once
attend attends attention b barred before begin blind block books box bright cards causal changes claim class_token
colour columns counted counts crossing d d_v decoder dims divisor drawings drawn embedding end equal even exponentials
few found fused gains gigabyte goal gradients hand he head hidden his hits i ids is_not is_parallel is_tied is_so
is_woman itself j k key label larger largest layers learned less level lines looks mask masked meaning mixed mlp moved name
names nearest nothing number off on options other others ours out output padding pair patches phrase phrases picture
pictures place plain q read reader recipe record rest right root row rows runs said same scaled score scores sentences
share sharp shown side size small smaller sooner squared squares start study style sums table tables takes_most text
texts theirs tied times title tokens trained transposed turned undivided unembedding unit untrained upper_right v
value values vector vocabulary w was ways weight weights which who whole without word words x y z
"""
for gone in used.split():
    globals().pop(gone, None)  # no error if it is gone already, so that this cell may run twice

# %% [markdown]
# ## Exercise: one output with a pencil
#
# Difficulty 1 of 5, about 6 minutes. One query, three keys, three values. There are *four* numbers in a query now, and
# two in a value:
#
# | query | keys | values |
# |---|---|---|
# | 2, 1, 0, 1 | key 0: 0, 0, 3, 0 | value 0: 10, 0 |
# | | key 1: 1, 0, 1, 0 | value 1: 0, 10 |
# | | key 2: 1, 1, 0, 1 | value 2: 10, 10 |
#
# Work out the output on paper, to one decimal, and return its two numbers. You may need e ≈ 2.7 and e² ≈ 7.4. (The
# function gets the vectors too; the pencil does not need them.)
#
# <details><summary>Hint 1</summary>
#
# Multiply number by number and add: that is a score. How many numbers has a query?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The scores are 0, 2 and 4; divide them by the root of 4. Then e to the power of each, divided by the sum of all three.
# Mix the values with these weights.
#
# </details>


# %% tags=["exercise"]
def my_output(query, keys, values): ...  # return two numbers


check.attention_by_hand(my_output)

# %% [markdown]
# The solution is in the next cell, folded. Open it when your own passes, or when you are stuck.


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_output(query, keys, values):
    # scores 0, 2, 4; divided by √4: 0, 1, 2; weights 1/11.1, 2.7/11.1, 7.4/11.1 = 0.09, 0.24, 0.67
    return 0.09 * 10 + 0.24 * 0 + 0.67 * 10, 0.09 * 0 + 0.24 * 10 + 0.67 * 10


check.attention_by_hand(my_output)

# %% [markdown]
# ## Exercise: write `attention`
#
# Difficulty 2 of 5, about 12 minutes. q is [..., N, d], k is [..., M, d], v is [..., M, d_v], with any number of batch
# axes in front, so transpose with `k.transpose(-2, -1)`. The mask is boolean, [N, M], True where a query may look, or
# None. Return the outputs, [..., N, d_v].
#
# <details><summary>Hint 1</summary>
#
# Scores first: `q @ k.transpose(-2, -1)` is [..., N, M]. Divide by the square root of the length of a query,
# `q.shape[-1]`. If there is a mask, `scores.masked_fill(~mask, -torch.inf)`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Each *query* shares out 1 over the keys. Queries are rows, so the softmax runs along the last axis. Then multiply by
# v.
#
# </details>


# %% tags=["exercise"]
def my_attention(q, k, v, mask=None): ...  # [..., N, d], [..., M, d], [..., M, d_v] -> [..., N, d_v]


check.attention(my_attention)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_attention(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # [..., N, M]
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = scores.softmax(dim=-1)  # each row sums to 1
    return weights @ v  # [..., N, d_v]


check.attention(my_attention)

# %% [markdown]
# ## Exercise: a mask for sentences
#
# Difficulty 2 of 5, about 10 minutes. A batch of B sentences for a language model, each filled up to `size` places.
# `lengths` [B] says how many words each has; they stand at the front. Return a boolean mask [B, size, size], True where
# a query may look: not ahead, and not at padding. Every row must have something to look at, also the rows of the
# padding.
#
# <details><summary>Hint 1</summary>
#
# Two masks, joined by `&`. One is the same for all sentences, [size, size]. The other is [B, 1, size]. PyTorch
# stretches both to [B, size, size].
#
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.arange(size)` numbers the keys. Which of them are below `lengths[:, None]`? And `tril()` keeps the lower left.
#
# </details>


# %% tags=["exercise"]
def my_mask(lengths, size): ...  # [B], a number -> [B, size, size], True: may look


check.attention_mask(my_mask)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_mask(lengths, size):
    not_ahead = torch.ones(size, size, dtype=torch.bool).tril()  # [size, size]
    real = torch.arange(size) < lengths[:, None]  # [B, size]
    return not_ahead & real[:, None, :]  # [B, size, size]: columns are keys


check.attention_mask(my_mask)

# %% [markdown]
# ## Exercise: what does it cost?
#
# Difficulty 2 of 5, about 6 minutes. For a block with N tokens of D numbers and an MLP of 4·D, return three numbers:
# the multiplications of the N² part of attention (QKᵀ, and weights times V), those of the MLP, and the number of tokens
# at which both are equal. Try it without looking up. When the check fails, it shows its inputs in the order N, D.
#
# <details><summary>Hint 1</summary>
#
# A product of a matrix [a, b] with a matrix [b, c] takes a·b·c multiplications. Which shapes meet in QKᵀ?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The MLP has two matrices, [D, 4·D] and [4·D, D], and N tokens go through both. For the third number set the first two
# equal and divide by what both sides share.
#
# </details>


# %% tags=["exercise"]
def my_attention_cost(N, D): ...  # return N² part, MLP, and where they are equal


check.attention_cost(my_attention_cost)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_attention_cost(N, D):
    squared = N * D * N + N * N * D  # QKᵀ, weights times V
    mlp = N * D * (4 * D) + N * (4 * D) * D
    return squared, mlp, 4 * D  # 2·N²·D = 8·N·D²


check.attention_cost(my_attention_cost)

# %% [markdown]
# ## Exercise: your own self-attention, in a real ViT
#
# Difficulty 3 of 5, about 12 minutes. A class with one head: three layers `nn.Linear(dim, dim)` called `query`, `key`
# and `value`, and equation 1. The check builds `MySelfAttention(dim, 1)`, as `ViT` does: the width, and how many heads
# there are. Here that is one, so you need not use it. Then x goes in, [B, N, dim], and out comes [B, N, dim]. No other
# layers. Try to write the formula yourself, or use your `my_attention`. (A ready-made function passes too, and teaches
# less.)
#
# <details><summary>Hint 1</summary>
#
# In `forward` the same x goes through all three layers. Each gives [B, N, D].
#
# </details>
# <details><summary>Hint 2</summary>
#
# With one head d = D = `x.shape[-1]`. There is a batch in front, so it is `.transpose(-2, -1)`, and the softmax runs
# along `dim=-1`.
#
# </details>


# %% tags=["exercise"]
class MySelfAttention(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        ...  # self.query, self.key, self.value

    def forward(self, x):
        # [B, N, D] -> [B, N, D]
        ...


check.self_attention(MySelfAttention)

# %% [markdown]
# Now build a ViT with it, and train it for a moment. Beside it stands a ViT that is deaf: its attention says 0, so the
# class token never hears of a patch.


# %%
class Deaf(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()

    def forward(self, x):
        return 0 * x


# %%
config = ViTConfig(28, 7, in_channels=1, num_classes=10, dim=32, depth=2, num_heads=1)  # 16 patches and the class token
pictures, labels = data.normalize(data.train_images[:1500]), data.train_labels[:1500]


def short_training(attention, steps=150):
    torch.manual_seed(0)
    model = ViT(config, attention=attention)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    for _ in range(steps):
        batch = torch.randint(len(pictures), (32,))
        loss = F.cross_entropy(model(pictures[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        predicted = model(data.normalize(data.test_images[:500])).argmax(dim=1)
    return (predicted == data.test_labels[:500]).float().mean().item()


# %%
print("deaf, fewer than 20% of the test pictures are right:", short_training(Deaf) < 0.2)
if check.self_attention(MySelfAttention).passed:
    print("with your attention more than half are right:", short_training(MySelfAttention) > 0.5)
else:
    print("MySelfAttention does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
class MySelfAttention(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)  # [B, N, D] each
        scores = q @ k.transpose(-2, -1) / math.sqrt(x.shape[-1])  # [B, N, N]
        return scores.softmax(dim=-1) @ v  # [B, N, D]


check.self_attention(MySelfAttention)

# %% [markdown]
# Now run the cell above the solution again: it trains a ViT with your attention.

# %% [markdown]
# ## The bug clinic
#
# A colleague has written this attention. It trains well, he says. But when he moves his model to larger pictures, as in
# lesson 3, it gets worse, and attention looks washed out. We take his word for that. His code stands below, but do not
# search it yet: doctors measure first.


# %%
class Patient(nn.Module):
    def __init__(self, dim, num_heads=1):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))

    def forward(self, x):
        q, k, v = self.query(x), self.key(x).transpose(1, 2), self.value(x)
        weights = (q @ k / math.sqrt(k.shape[-1])).softmax(dim=-1)
        return weights @ v


class Healthy(Patient):
    def forward(self, x):
        return F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))


# %% [markdown]
# Six instruments. Two of them need a word. Give attention every token *twice*: each pair of twins shares what one token
# got before, so the mixture must be the same. And if all values are 1, every mixture of them is 1, whatever the weights
# are, as long as each row of weights sums to 1.


# %%
def examine(attention):
    torch.manual_seed(0)
    one, x = attention(32), 2 * torch.randn(2, 9, 32)
    out = one(x)
    out.square().sum().backward()
    print("  shape kept:                         ", out.shape == x.shape)
    print("  all matrices get gradients:         ", all(layer.weight.grad.any() for layer in one.children()))
    print("  tokens swapped, outputs swapped:    ", torch.allclose(one(x.flip(1)), out.flip(1), atol=1e-5))
    print("  a short training gets half right:   ", short_training(attention) > 0.5)
    print("  every token twice, the same outputs:", torch.allclose(one(torch.cat([x, x], 1))[:, :9], out, atol=1e-5))
    nn.init.zeros_(one.value.weight), nn.init.ones_(one.value.bias)
    print("  values all 1, outputs all 1:        ", torch.allclose(one(x), torch.ones_like(x), atol=1e-5))


for attention in (Healthy, Patient):
    print(attention.__name__)
    examine(attention)

# %% [markdown]
# Five instruments find nothing. Rows sum to 1, gradients flow, it learns. The fifth line finds it: the answer depends
# on *how many* tokens there are. How does that look? If all weights are equal, each output is the mean of the values:
# nobody has chosen anything. So here is how far outputs are from that mean, with every token 1, 2, 4 … 64 times:

# %%
torch.manual_seed(0)
x, copies = 2 * torch.randn(1, 9, 32), [1, 2, 4, 8, 16, 32, 64]
curves = {}
for attention in (Healthy, Patient):
    torch.manual_seed(1)
    one = attention(32)
    with torch.no_grad():
        outputs = [one(x.repeat(1, c, 1)) for c in copies]  # [1, 9·c, 32]
        curves[attention.__name__] = [(out - one.value(x).mean(1)).norm(dim=-1).mean().item() for out in outputs]
figure, axes = plots.new_figure(size=(7, 3))
plots.draw_lines(axes[0, 0], copies, curves, "copies of each token", "distance from the mean value", marker="o")
axes[0, 0].set(xscale="log", ylim=(0, None))
axes[0, 0].set_xticks(copies, copies)
plots.show(
    figure,
    alt="Distance of the outputs from the mean value against copies of each token. Healthy: a level line. Patient: it falls toward 0.",
)

# %% [markdown]
# ## Exercise: mend the patient
#
# Difficulty 3 of 5, about 10 minutes. Something in the patient's `forward` depends on the number of tokens, and should
# not. Find it, and write a `forward` that is well. The layers may stay as they are, so your class takes over the
# patient's `__init__`. The fault is small, and so is the cure.
#
# <details><summary>Hint 1</summary>
#
# Write the shape of each tensor beside the line in which it is made. Mind what `.transpose(1, 2)` does to that of k.
#
# </details>
# <details><summary>Hint 2</summary>
#
# By what are the scores divided? By what should they be? In the short training there were 17 tokens and D = 32; √17 and
# √32 are not far apart, so nobody noticed.
#
# </details>


# %% tags=["exercise"]
class MendedAttention(Patient):
    def forward(self, x):
        # [B, N, D] -> [B, N, D]
        ...


check.mended_attention(MendedAttention)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
class MendedAttention(Patient):
    def forward(self, x):
        q, k, v = self.query(x), self.key(x).transpose(1, 2), self.value(x)  # k: [B, D, N], its last axis is N
        weights = (q @ k / math.sqrt(q.shape[-1])).softmax(dim=-1)  # the last axis of q is D
        return weights @ v


check.mended_attention(MendedAttention)

# %% [markdown]
# ## What to remember
#
# 1. A query asks, a key offers, a value is handed over. All three are made from the same tokens.
# 2. softmax(QKᵀ/√d)V: each query shares out 1 among the keys, and its output is a mixture of values.
# 3. √d keeps the variance of the scores near 1 when training starts, whatever d is. d is the length of a query: not the
#    number of tokens.
# 4. A mask is −∞ before the softmax. Language models need causal and padding masks; a ViT needs neither. A query that
#    may look at nothing gives NaN.
# 5. The N² part overtakes the MLP at N = 4·D. The N×N table need not be stored, but it must be computed.
#
# | step | shape |
# |---|---|
# | tokens Z | [B, N, D] |
# | Q, K, V | [B, N, d] |
# | scores, weights, mask | [B, N, N] |
# | output | [B, N, d] |
#
# **Three questions.**
#
# <details><summary>All keys are equal. What are the weights?</summary>All equal, 1/N, whatever the query asks. The
# output is the mean of the values.</details>
# <details><summary>Every score of a query grows by 5. What changes?</summary>Nothing. Softmax looks at differences
# only.</details>
# <details><summary>A sentence of 3 words is filled up to 5 places. How many numbers of its boolean causal-and-padding mask are
# True?</summary>Rows 0, 1 and 2 see 1, 2 and 3 keys. Rows 3 and 4 are padding and see the 3 words: 1 + 2 + 3 + 3 + 3 =
# 12.</details>
#
# **Next**: one table of weights is one kind of question. Lesson 5 lets every token ask several at once.
#
# **Read on**: Vaswani et al. 2017, *Attention Is All You Need*, sections 3.2.1 and 3.4 · Dao et al. 2022,
# *FlashAttention* · Dao 2023, *FlashAttention-2*, section 3.1.1 · Press and Wolf 2017, *Using the Output Embedding to Improve Language Models* · Mikolov, Yih and
# Zweig 2013, *Linguistic Regularities in Continuous Space Word Representations* · Linzen 2016, *Issues in Evaluating
# Semantic Spaces Using Word Analogies* · Dehghani et al. 2023, *Patch n' Pack: NaViT* · the code of this lesson:
# `vit_tutorial/attention.py`.
