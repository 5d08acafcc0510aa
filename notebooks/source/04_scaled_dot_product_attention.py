# %% [markdown]
# # 4 · Scaled dot-product attention: who looks at whom
#
# **The question.** After lesson 3 we have tokens that know what they look like and where they are. But each one knows
# only its own patch. A cat's ear is just fur until it is seen beside an eye. *How can a token collect what it needs
# from all the others, when it does not know beforehand which of them matter?*
#
# **What you will do**
#
# 1. Compute attention with a pencil: three tokens of two numbers each.
# 2. Write it as loops, as matrices, and call PyTorch's own. Show that all three agree.
# 3. Find out why there is a square root in the formula, by taking it away.
# 4. Draw a mask both ways round, and say why a ViT has none.
# 5. Count what attention costs, and when it costs more than the rest of the model.
#
# **Time**: 40 minutes. **You need**: lessons 1 to 3, the product of two matrices, and what softmax does: it turns a row
# of numbers into positive ones that sum to 1, the largest getting the most.

# %%
import math

import torch
from torch.nn import functional as F

from vit_tutorial import attention_maps, load_model, plots, scaled_dot_product_attention
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.exercises import check
from vit_tutorial.explore import AttentionLab

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
# them, and good fits count for more.

# %% [markdown]
# ## By hand
#
# Three tokens. Each has a query, a key and a value of two numbers. Real models learn them; we choose easy ones.

# %%
q = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # [N=3, d=2]: one query per row
k = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # [3, 2]: one key per row
v = torch.tensor([[10.0, 0.0], [0.0, 10.0], [5.0, 5.0]])  # [3, 2]: one value per row

# %% [markdown]
# **Step 1, scores.** How well does query 0 fit each key? Multiply number by number, and add. This is the dot product;
# it is large when two vectors point the same way.
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
# **Step 2, scale.** Divide by √d. Here d = 2, so by 1.414. We shall see why; for now it only makes the numbers smaller.
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
# The course's function is these three lines, for any number of batches in front, with a mask if you want one. It gives
# back the weights too, because we want to look at them. PyTorch has its own, `F.scaled_dot_product_attention`. It is
# fast, and does not show its weights. Here they meet on random numbers, in 64 bits.

# %%
torch.manual_seed(0)
Q, K, V = (torch.randn(2, 5, 16, dtype=torch.float64) for _ in range(3))  # [B, N, d]
ours, ours_weights = scaled_dot_product_attention(Q, K, V)
theirs = F.scaled_dot_product_attention(Q, K, V)
print("output", list(ours.shape), "weights", list(ours_weights.shape))
print(f"largest difference below 0.000000000001: {(ours - theirs).abs().max().item() < 1e-12}")

# %% [markdown]
# Where do queries, keys and values come from? From the tokens themselves, by three learned matrices:
#
# $$Q = Z W_Q \qquad K = Z W_K \qquad V = Z W_V$$
#
# One token z plays all three parts: it asks, it offers, it hands over. This is why it is called **self**-attention.
# The three matrices are all that is learned. The formula above has no parameter of its own.

# %%
Z = torch.randn(5, 8)  # [N, D]: five tokens
W_q, W_k, W_v = (torch.randn(8, 4) for _ in range(3))  # [D, d] each
out, A = scaled_dot_product_attention(Z @ W_q, Z @ W_k, Z @ W_v)  # [N, D] @ [D, d] -> [N, d]
print("tokens", list(Z.shape), "-> output", list(out.shape), "with weights", list(A.shape))

# %% [markdown]
# ## In a picture you can touch
#
# Here is attention in a model that was trained: the course's own small ViT, on pictures of clothes. It cuts 28×28
# pixels into 49 patches, and it has one class token. **Pick a patch with the mouse or the arrow keys**, and see which
# patches it looks at. Press `c` to see where the class token looks.
#
# **Look for two things.** In the first layer, do heads look near or far? In the last layer, does the class token look
# at the clothes or at the black background? (Each layer has several *heads*, each with its own W_Q, W_K, W_V.
# Lesson 5 is about them.)

# %%
model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
image = data.test_images[[2]]  # [1, 1, 28, 28]
maps = attention_maps(model, model.card.normalize(image))  # one [1, h, 50, 50] per layer
print(len(maps), "layers, each", list(maps[0].shape), "= [B, h, N+1, N+1]")

# %%
AttentionLab(image[0], [layer[0] for layer in maps], grid_size=model.grid_size)

# %% [markdown]
# ## Claims, tested
#
# **"The square root keeps the softmax out of saturation."** Take random queries and keys of d numbers, each with mean 0
# and variance 1. Their dot product is a sum of d such products, so its variance is d. Long vectors give large scores.
# And softmax of large scores gives nearly everything to one key. We measure two things: the **entropy** of the weights
# (how many keys share them; ln 64 = 4.16 if 64 keys share evenly, 0 if one takes all), and the **gradient** that flows
# back through the softmax.


# %%
def spread_and_gradient(d, scale, keys=64, queries=200):
    torch.manual_seed(0)
    scores = (torch.randn(queries, d) @ torch.randn(keys, d).T * scale).requires_grad_()
    weights = scores.softmax(dim=-1)
    entropy = -(weights * weights.clamp_min(1e-30).log()).sum(-1).mean()
    weights.max(dim=-1).values.sum().backward()  # how does the largest weight react to the scores?
    return entropy.item(), scores.grad.norm(dim=-1).median().item()


dims = [1, 4, 16, 64, 256, 1024]
plain = [spread_and_gradient(d, scale=1) for d in dims]
scaled = [spread_and_gradient(d, scale=1 / math.sqrt(d)) for d in dims]

# %%
figure, axes = plots.new_figure(1, 2, size=(10, 3.4))
for ax, which, label in [(axes[0, 0], 0, "entropy of the weights"), (axes[0, 1], 1, "gradient (median)")]:
    lines = {"divided by √d": [s[which] for s in scaled], "not divided": [s[which] for s in plain]}
    plots.draw_lines(ax, dims, lines, "d, numbers in a query", label, marker="o")
    ax.set_xscale("log", base=2)
axes[0, 1].set_yscale("log")
plots.show(
    figure,
    alt="With the division, entropy and gradient stay level. Without it, the entropy falls, and in the end the gradient.",
)

# %%
print(f"entropy at d = 1024: divided {scaled[-1][0]:.1f}, not divided {plain[-1][0]:.1f}")
smaller = plain[-1][1] * 50 < scaled[-1][1]
print(f"gradient at d = 1024: without the division more than 50 times smaller: {smaller}")
print("verdict: TRUE - without the division one key takes nearly everything, and the gradient dies")

# %% [markdown]
# A softmax that has given everything to one key cannot learn: moving the scores a little changes nothing. This is
# called *saturation*. (On the way there, at d = 16, the gradient is even larger than with the division: the softmax
# is undecided between two or three keys. Then it falls off.) Dividing by √d brings the variance of the scores back to
# 1, whatever d is. So a model can be made wider without breaking its attention.
#
# **"Put −∞ in the lower left before the softmax."** This is how a *mask* forbids looks. e to the power −∞ is 0, so that
# key gets no weight. In a language model, word i must not look at words that come after it. Which corner is that? It
# depends on how you draw the table.
#
# - As code writes it, **rows are queries**, columns are keys. "After" is to the right of the diagonal: the *upper right*.
# - Many videos draw tokens as columns, so **columns are queries**. Then it is the *lower left*.

# %%
N = 4
may_look = torch.ones(N, N, dtype=torch.bool).tril()  # query i may look at keys 0 ... i
_, rows_are_queries = scaled_dot_product_attention(torch.zeros(N, 1), torch.zeros(N, 1), torch.zeros(N, 1), may_look)
columns_are_queries = rows_are_queries.T

figure, axes = plots.new_figure(1, 2, size=(8, 3.3))
words = ["the", "cat", "sat", "down"]
plots.draw_matrix(axes[0, 0], rows_are_queries, "rows ask: −∞ was upper right", rows=words, columns=words)
plots.draw_matrix(axes[0, 1], columns_are_queries, "columns ask: −∞ was lower left", rows=words, columns=words)
plots.show(
    figure,
    alt="Two 4 by 4 tables of causal weights; one is zero upper right, the other lower left.",
)

# %%
torch.manual_seed(0)
X, Y = torch.randn(N, 3), torch.randn(N, 3)  # queries and keys as rows
by_rows = (X @ Y.T).masked_fill(~may_look, -torch.inf).softmax(dim=1)
by_columns = (Y @ X.T).masked_fill(~may_look.T, -torch.inf).softmax(dim=0)  # the same, all transposed
print("one is the transpose of the other:", torch.allclose(by_rows, by_columns.T))
print("verdict: TRUE IF columns hold the queries; in code, where rows do, it is the upper right")

# %% [markdown]
# So "softmax over the columns" in a video and `softmax(dim=-1)` in code are one and the same.
#
# A ViT masks nothing. A picture has no before and after, so every patch may look at every patch.
#
# **"Attention costs N²."** Count the multiplications in one block with N tokens of D numbers, with the usual MLP that
# is 4 times as wide (lesson 6 shows it):
#
# | part | multiplications | grows with N |
# |---|---|---|
# | making Q, K, V and the output projection | 4·N·D² | N |
# | QKᵀ and weights times V | 2·N²·D | **N²** |
# | MLP, D → 4D → D | 8·N·D² | N |
#
# The N² part overtakes the MLP when 2·N²·D = 8·N·D², that is at **N = 4·D**. And it overtakes all the rest, 12·N·D²,
# at N = 6·D. PyTorch can count for us:

# %%
from torch.utils.flop_counter import FlopCounterMode


def multiplications(function, *inputs):
    with FlopCounterMode(display=False) as counter:
        function(*inputs)
    return counter.get_total_flops() // 2  # it counts a multiplication and an addition as two


D = 64
for N in (D, 4 * D, 6 * D):
    tokens = torch.zeros(N, D)
    attention = multiplications(lambda t: (t @ t.T).softmax(-1) @ t, tokens)
    mlp = multiplications(lambda t: t @ torch.zeros(D, 4 * D) @ torch.zeros(4 * D, D), tokens)
    print(f"N = {N // D}·D: attention {attention:>11,} = 2·N²·D: {attention == 2 * N * N * D}; MLP {mlp:>11,}")

# %%
D = 768  # ViT-B
tokens = torch.logspace(1, 4.7, 50, base=10).tolist()
lines = {
    "QKᵀ and weights · V": [2 * n * n * D for n in tokens],
    "MLP": [8 * n * D * D for n in tokens],
    "Q, K, V and projection": [4 * n * D * D for n in tokens],
}
figure, axes = plots.new_figure(size=(8, 3.8))
plots.draw_lines(axes[0, 0], tokens, lines, "tokens N", "multiplications in one block")
axes[0, 0].set_xscale("log")
axes[0, 0].set_yscale("log")
for size in (32, 16, 8, 4, 1):
    axes[0, 0].axvline((224 // size) ** 2, color="black", linewidth=0.8, linestyle=":")
    axes[0, 0].text((224 // size) ** 2, 2e5, f" P={size}", fontsize=8)
plots.show(
    figure,
    alt="Multiplications against tokens. The line of N squared is steeper, and crosses the MLP at 3,072.",
    caption="ViT-B on 224x224 images; dotted: patch sizes. At P = 16 the N² part is small; at P = 4 it is not.",
)

# %%
N, D = 196 + 1, 768
share = 2 * N * N * D / (2 * N * N * D + 12 * N * D * D)
print(f"ViT-B/16 at 224x224: the N² part is {share:.1%} of a block's multiplications")
side = math.isqrt(4 * D) * 16
print(f"it overtakes the MLP at N = 4·D = {4 * D:,} tokens: at P = 16, an image of about {side}x{side}")
print("verdict: TRUE for large N; at the size of the paper's models, most of the cost grows with N only")

# %% [markdown]
# What about memory? The explicit form stores the table of weights. The fused kernel of PyTorch works through it piece
# by piece and never stores it whole (Dao et al. 2022, *FlashAttention*). The multiplications are the same.

# %% [markdown]
# ## Exercise: write `attention`
#
# Difficulty 2 of 5, about 10 minutes. Three lines are enough. It must work with any number of batch axes in front, so
# transpose with `k.transpose(-2, -1)`.
#
# <details><summary>Hint 1</summary>
#
# Scores first: `q @ k.transpose(-2, -1)` is [..., N, M]. Divide by the square root of the length of a query,
# `q.shape[-1]`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Each *query* shares out 1 over the keys. Queries are rows, so the softmax runs along the last axis. Then multiply by v.
#
# </details>


# %% tags=["exercise"]
def my_attention(q, k, v): ...


check.attention(my_attention)

# %% [markdown]
# The solution is in the next cell, folded.


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_attention(q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # [..., N, M]
    weights = scores.softmax(dim=-1)  # each row sums to 1
    return weights @ v  # [..., N, d]


check.attention(my_attention)

# %% [markdown]
# ## What to remember
#
# 1. A query asks, a key offers, a value is handed over. All three are made from the same tokens.
# 2. softmax(QKᵀ/√d) gives each query weights that sum to 1. The output is a mixture of values.
# 3. √d keeps the scores at variance 1, whatever d is. Without it the softmax saturates, and stops learning.
# 4. A mask is −∞ before the softmax. A ViT uses none.
# 5. The table of weights is N×N. It overtakes the MLP at N = 4·D.
#
# | step | shape |
# |---|---|
# | Q, K, V | [B, N, d] |
# | scores, weights | [B, N, N] |
# | output | [B, N, d] |
#
# **Three questions.**
#
# <details><summary>All keys are equal. What are the weights?</summary>All equal, 1/N, whatever the query asks. The
# output is the mean of the values.</details>
# <details><summary>Every score of a query grows by 5. What changes?</summary>Nothing. Softmax looks at differences
# only.</details>
# <details><summary>Two tokens change places in the sequence. What happens to the outputs?</summary>They change places
# too. This is the equivariance of lesson 3.</details>
#
# **Next**: one table of weights is one kind of question. Lesson 5 lets every token ask several at once.
#
# **Read on**: Vaswani et al. 2017, *Attention Is All You Need*, section 3.2.1 · Dao et al. 2022, *FlashAttention* ·
# the code of this lesson: `vit_tutorial/attention.py`.
