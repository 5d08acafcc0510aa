# %% [markdown]
# # 4 · Scaled dot-product attention: who looks at whom
#
# **The question.** *The river spring. After winter, spring. The clock spring.* It is one word, so a language model
# begins with the same row of numbers each time. In the end it must mean three things. A patch is no better off. After
# lesson 3 a token knows what it looks like and where it is, and nothing else. A cat's ear is just fur until it is seen
# beside an eye. *How can a token take in what it needs from all the others, when it does not know beforehand which of
# them matter?*

# %% jupyter={"source_hidden": true}
import math
from statistics import fmean

import torch
from torch import nn
from torch.nn import functional as F

from vit_tutorial import EncoderBlock, ViT, ViTConfig, attention_maps, attention_scores, load_model, plots
from vit_tutorial import scaled_dot_product_attention
from vit_tutorial.datasets import DATA_FOLDER, load, pictures
from vit_tutorial.evidence import compare, compare_each, judge
from vit_tutorial.exercises import check
from vit_tutorial.explore import AttentionLab, AttentionPlane
from vit_tutorial.studies import load_study

torch.set_num_threads(1)  # one thread: the same numbers each time

# %% jupyter={"source_hidden": true}
arrows = {"the river spring": (6.4, 1.8), "after winter spring": (0, 1.8), "the clock spring": (-6.4, 1.8)}
figure, axes = plots.new_figure(size=(8, 2.7))
for (phrase, end), colour, side in zip(arrows.items(), plots.COLOURS, ("left", "center", "right"), strict=False):
    axes[0, 0].annotate("", end, (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "lw": 2.5})
    axes[0, 0].text(end[0], end[1] + 0.15, phrase, color=colour, ha=side, va="bottom")
axes[0, 0].plot(0, 0, "o", color=plots.GREY)
axes[0, 0].set(xlabel="metal … water", ylabel="says little … much", xlim=(-10, 10), ylim=(-0.4, 2.8))
plots.show(
    figure,
    alt="Three arrows from one point: spring in 'the river spring' ends on the side of water, in 'the clock spring' on that of metal, in 'after winter spring' between them.",
    caption="One word, three vectors: what attention makes of 'spring', with what stands beside it. You will compute these arrows with a pencil.",
)

# %% [markdown]
# **What you will do**
#
# 1. Compute attention with a pencil: three tokens, three matrices. Then drag the arrows about, and watch.
# 2. Write it as matrices, and compare with PyTorch's own. Forbid looks with a mask, and see what happens if you forbid
#    all.
# 3. Find an ear that looks at an eye, in a trained model.
# 4. Take the square root out of the formula, and measure what that does. Count what attention costs.
# 5. Write it yourself, put it into a real ViT, and mend one that is ill.
#
# **Time**: 40 minutes, and 55 for the exercises; extras come on top. **You need**: lessons 1 to 3, the product of two
# matrices, and the softmax of lesson 0.
#
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
# Attention does this for all tokens at once. Every query is compared with every key. What comes out is a *mixture* of
# all values, and good fits count for more. For one patch of a cat:


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
# Three words, *the river spring*. Each is a token of two numbers. The first says how much the word tells us, the second
# leads from metal to water. A model learns these numbers; we choose easy ones.

# %%
names = ["the", "river", "spring"]
Z = torch.tensor([[-1.0, 0.0], [2.0, 2.0], [1.0, 0.0]])  # [N=3, D=2]: one token per row

# %% [markdown]
# (In this lesson and the next N is the number of *tokens*: with a class token, one more than there are patches.)
#
# ### Where queries, keys and values come from
#
# From the tokens themselves, by three learned matrices, **W_Q**, **W_K** and **W_V**. One token plays all three parts:
# it asks, it offers, it hands over. This is why it is called **self**-attention. The three matrices (with a bias each,
# in a ViT) are all that is learned here; lesson 5 adds a fourth.

# %%
W_q = torch.tensor([[2.0, 0.0], [-2.0, 1.0]])  # [D=2, d=2]: makes queries
W_k = torch.tensor([[1.0, -1.0], [0.0, 2.0]])  # [D=2, d=2]: makes keys
W_v = torch.tensor([[0.0, 1.0], [4.0, 0.0]])  # [D=2, d=2]: makes values

# %% [markdown]
# **Step 1, multiply.** A token times a matrix is a sum of the matrix's rows, each times one number of the token.
#
# - query of *spring*: 1·[2, 0] + 0·[−2, 1] = **[2, 0]**
# - query of *river*: 2·[2, 0] + 2·[−2, 1] = **[0, 2]**
# - key of *river*: 2·[1, −1] + 2·[0, 2] = **[2, 2]**
# - key of *spring*: 1·[1, −1] + 0·[0, 2] = **[1, −1]**
# - value of *river*: 2·[0, 1] + 2·[4, 0] = **[8, 2]**
#
# W_V swaps the two numbers: metal and water come first, four times as large. Do the other four vectors yourself, then
# look.

# %%
q, k, v = Z @ W_q, Z @ W_k, Z @ W_v  # [3, 2] each: one query, key and value per row
for i, name in enumerate(names):
    print(f"{name:<8} query {q[i].tolist()}   key {k[i].tolist()}   value {v[i].tolist()}")

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 3, size=(10, 3.4))
panels = {"tokens": [("", Z, plots.GREY)], "queries and keys": [("q ", q, plots.BLUE), ("k ", k, plots.ORANGE)]}
panels["values"] = [("v ", v, plots.GREEN)]
says, leads = "says little … much", "metal … water"
labels = [(says, leads), ("first number", "second number"), (leads, says)]
for ax, (title, kinds), (along, up) in zip(axes[0], panels.items(), labels, strict=True):
    for letter, vectors, colour in kinds:
        for name, end in zip(names, vectors.tolist(), strict=True):
            ax.annotate("", end, (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "lw": 2})
            ax.text(end[0], end[1] + (0.15 if end[1] >= 0 else -0.15), letter + name, color=colour, ha="center",
                    va="bottom" if end[1] >= 0 else "top", bbox={"color": "white", "pad": 1})  # fmt: skip
    reach = 9.5 if title == "values" else 2.9
    ax.set(title=title, xlim=(-reach if title != "values" else -2, reach), ylim=(-2.9, 2.9), xlabel=along, ylabel=up)
    ax.axhline(0, color="black", linewidth=0.5), ax.axvline(0, color="black", linewidth=0.5)
plots.show(
    figure,
    alt="Three planes. Tokens: the to the left, spring to the right, river up and right. Queries and keys: the query of spring points right, that of river up; the key of river points up and right, that of spring down and right. Values: river far to the right, spring up, the down.",
    caption="The same three tokens, as they come in, as they ask and offer, and as what they hand over.",
)

# %% [markdown]
# **Step 2, scores.** How well does a query fit a key? Multiply number by number, and add. This is the dot product; it
# is large when two vectors are long and point the same way, 0 when they are at a right angle, and negative when they
# point apart.
#
# - *spring* asks *river*: 2·2 + 0·2 = **4**
# - *spring* asks itself: 2·1 + 0·(−1) = **2**
# - *spring* asks *the*: 2·(−1) + 0·1 = **−2**
# - *river* asks *spring*: 0·1 + 2·(−1) = **−2**
#
# The scores are one-sided. *Spring* needs the river in order to know what it is. The river does not need the spring.
# That takes two matrices, one for asking and one for offering. With one for both, each score would be the same both
# ways.

# %%
scores = torch.zeros(3, 3)
for i in range(3):  # each query
    for j in range(3):  # with each key
        scores[i, j] = sum(q[i, n] * k[j, n] for n in range(2))
print(scores)

# %% [markdown]
# **Step 3, scale.** Divide by √d. **d** is how many numbers a query has (d_k in Vaswani et al. 2017, D_h in the ViT
# paper); **D** is how many a token has, and the two need not be equal. Here d = 2, so we divide by 1.41. We shall see
# why. *Spring*'s row −2, 4, 2 becomes −1.41, 2.83, 1.41.
#
# **Step 4, softmax.** Turn each *row* into weights that sum to 1. The exponentials of *spring*'s row are 0.24, 16.9 and
# 4.11, which add up to 21.3. So its weights are 0.01, 0.80, 0.19.

# %%
weights = torch.zeros(3, 3)
for i in range(3):
    exponentials = [math.exp(scores[i, j] / math.sqrt(2)) for j in range(3)]
    for j in range(3):
        weights[i, j] = exponentials[j] / sum(exponentials)
print("weights of 'spring':", [round(w, 2) for w in weights[2].tolist()])

# %% [markdown]
# **Step 5, mix.** The output of *spring* is 0.01 of the value of *the*, 0.80 of that of *river*, and 0.19 of its own:
#
# 0.01·[0, −1] + 0.80·[8, 2] + 0.19·[0, 1] = [6.4, 1.8]

# %%
output = torch.zeros(3, 2)
for i in range(3):
    for j in range(3):
        output[i] += weights[i, j] * v[j]
print("output of 'spring':", [round(x, 1) for x in output[2].tolist()])

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 3, size=(10, 3.2))
keys = [f"k {name}" for name in names]
plots.draw_matrix(axes[0, 0], scores, "2. scores: queries down, keys across", rows=names, columns=keys)
plots.draw_matrix(axes[0, 1], weights, "3-4. weights: each row sums to 1", columns=keys)
plots.draw_matrix(axes[0, 2], output, "5. output: a mixture of values", columns=["0", "1"])
plots.show(
    figure,
    alt="Three tables of the, river and spring: scores of three queries with three keys, weights after softmax, and outputs. Spring scores river with 4, river scores spring with −2.",
)

# %% [markdown]
# ### One word, three vectors
#
# *Spring* has come out on the side of water. Now put *winter* in the place of *river*, then *clock*. The matrices stay,
# and so does the token of *spring*. The course's function `scaled_dot_product_attention` does steps 2 to 5, and gives
# back outputs and weights.

# %%
meaning = {"the": (-1, 0), "after": (-1, 0), "river": (2, 2), "winter": (2, 0), "clock": (2, -2), "spring": (1, 0)}
for phrase, arrow in arrows.items():  # the arrows of the first picture
    z = torch.tensor([meaning[word] for word in phrase.split()]).float()
    out, _ = scaled_dot_product_attention(z @ W_q, z @ W_k, z @ W_v)
    last = [round(x, 1) for x in out[2].tolist()]
    print(f"{phrase:<20} spring comes out as {last}, as drawn: {last == list(arrow)}")

# %% [markdown]
# ### Now move them
#
# These are your queries, keys and values, as arrows and points in the plane: 0 is *the*, 1 is *river*, 2 is *spring*.
# Query 2 is followed: the line below the planes says what its output is made of. Drag its tip with the mouse, or click
# it and move it with the arrow keys. (Leave the mask for later.) Say what you expect before you look.
#
# 1. Make query 2 longer, without turning it. Do its weights become more even, or less?

# %%
AttentionPlane()

# %% [markdown]
# 2. Turn query 2 away from key 1 until they are at a right angle, then further. *More* (`m`) has the tables of scores
#    and weights. What becomes of their score? Can you bring the weight to 0?
# 3. *Spring* looks at the river. Make the river look back: move query 1. (`q` and `1` choose it.) Does the row of query
#    2 change?
# 4. Under *Begin with* choose "three directions". Move queries and keys. Can you bring an output *outside* the triangle
#    of the three values?
# 5. Begin with "one long query", and switch the scaling off (`s`). `+` and `-` change the **temperature**: all scores
#    are divided by it. Which temperature brings the old weights back?
#
# <details><summary>What there was to see</summary>
#
# 1. Less even. All its scores grow by the same factor, and softmax makes more of larger differences.
# 2. At a right angle the score is 0, then it becomes negative. The weight becomes small and never quite 0: e to any
#    power is positive.
# 3. No. Each row has its own query, and shares out its own 1.
# 4. No. Weights are positive and sum to 1, so each output lies inside the triangle of the values. To get out, move a
#    value.
# 5. About 1.4. Scaling divides the scores by √2, a temperature of T by T, so T = √2 = 1.41 does what the scaling did.
#
# </details>
#
# Behind *More* the explorer also says "as if spread evenly over n keys": 3 if all three weights are equal, and 1 if one
# key takes all. This n is e^H, with the **entropy** H = −Σ w·ln w of a row of weights w, in *nats*.

# %% [markdown]
# ## In code
#
# The steps, as matrices. Loops over i and j become one product:
#
# $$Q = Z W_Q \qquad K = Z W_K \qquad V = Z W_V$$
#
# $$\text{Attention}(Q, K, V) = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right) V
# \qquad \text{(Vaswani et al. 2017, equation 1)}$$

# %%
S = q @ k.T / math.sqrt(2)  # [N, d] @ [d, N] -> [N, N]   steps 2 and 3
A = S.softmax(dim=-1)  # [N, N], each row sums to 1       step 4
out = A @ v  # [N, N] @ [N, d] -> [N, d]                  step 5
print("same weights as by hand:", torch.allclose(A, weights))
print("same output as by hand: ", torch.allclose(out, output))

# %% [markdown]
# `scaled_dot_product_attention` is these three lines, for any number of batches in front. Here are all shapes, for five
# tokens of D = 8 numbers and queries of d = 4:

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(size=(11, 2.6))
ax = axes[0, 0]
N, D, d, grey = 5, 8, 4, plots.GREY
line = [("Z", N, D, grey), ("· W_Q →", 0, 0, ""), ("Q", N, d, plots.BLUE), ("·", 0, 0, "")]
line += [("Kᵀ", d, N, plots.ORANGE), ("→", 0, 0, ""), ("scores", N, N, grey), ("/√d, softmax →", 0, 0, "")]
line += [("A", N, N, grey), ("·", 0, 0, ""), ("V", N, d, plots.GREEN), ("→", 0, 0, ""), ("output", N, d, grey)]
letters, x = {N: "N", D: "D", d: "d"}, 0
for name, height, width, colour in line:
    if not height:  # words between two matrices
        ax.text(x + 0.35 + 0.2 * len(name), 0, name, ha="center", va="center")
        x += 0.7 + 0.4 * len(name)
        continue
    ax.hlines([row - height / 2 for row in range(height + 1)], x, x + width, colour, linewidth=1)
    ax.vlines([x + column for column in range(width + 1)], -height / 2, height / 2, colour, linewidth=1)
    ax.text(x + width / 2, height / 2 + 0.3, name, ha="center", va="bottom", weight="bold")
    ax.text(x + width / 2, -height / 2 - 0.3, f"{letters[height]}×{letters[width]}", ha="center", va="top")
    x += width
ax.set(xlim=(-0.3, x + 0.3), ylim=(-4, 4), aspect="equal")
ax.axis("off")
plots.show(
    figure,
    alt="One line of tables: Z, N by D, times a matrix W gives Q, N by d. Q times K transposed, d by N, gives the scores, N by N. Divided by the root of d and after softmax they are A, N by N. A times V, N by d, gives the output, N by d.",
    caption="All of attention in one line. K and V come from Z as Q does, by their own W of D×d.",
)

# %% [markdown]
# D goes in and d comes out; lesson 5 leads back to D.
#
# One thing in `softmax` differs from our loop. e¹⁰⁰ is more than a 32-bit number can hold. So PyTorch subtracts the
# largest score of the row first. That changes nothing else: softmax looks at differences only.

# %% jupyter={"source_hidden": true}
row = torch.tensor([100.0, 99.0, 98.0])
for name, x in {"as it stands": row, "largest subtracted": row - row.max()}.items():
    print(f"{name:<19}", [round(w, 2) for w in (x.exp() / x.exp().sum()).tolist()])
print(f"{'PyTorch':<19}", [round(w, 2) for w in row.softmax(0).tolist()])

# %% [markdown]
# ## Masks: where not to look
#
# Sometimes a query must not look at a key. Then that score becomes −∞ *before* the softmax. e to the power −∞ is 0, so
# this key gets no weight, and the others share out the 1 among them. Masks come from language. Two are common.
#
# **Causal mask.** A language model such as GPT learns to say the next word. So word i must not look at the words after
# it: it would read the answer. Query i may look at keys 0 to i.
#
# **Padding mask.** A batch is one tensor, but sentences differ in length. Short ones are filled up with empty words,
# and nobody may look at those. The mask forbids whole *columns*, and it differs from sentence to sentence.


# %%
def causal_mask(size):
    return torch.ones(size, size, dtype=torch.bool).tril()  # [N, N], True: may look. tril keeps the lower left


def padding_mask(lengths, size):
    real = torch.arange(size) < lengths[:, None]  # [B, N]: is there a word at this place?
    return real[:, None, :]  # [B, 1, N]: the same for every query


causal, padding = causal_mask(4), padding_mask(torch.tensor([4, 2]), 4)
print("causal", list(causal.shape), " padding", list(padding.shape))

# %% jupyter={"source_hidden": true}
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
# Go back to the explorer, and choose a mask there (`x`). With the causal one, what can query 0 still see?
#
# <details><summary>Answer</summary>
#
# Only key 0. Its weight is 1, and the output is value 0.
#
# </details>
#
# A mask comes in two forms. The **boolean** one says True where a query may look. The **additive** one is added to the
# scores: 0 where it may look, −∞ where not. PyTorch's function and the course's take both. (Careful: in PyTorch's older
# `nn.MultiheadAttention` True means the opposite, may *not* look.) If padding is masked, then a short sentence must get
# what it gets alone. And if a query may look at *nothing*? Then every score of its row is −∞, and softmax shares out 1
# among nobody: 0 divided by 0, which is NaN, "not a number". A NaN spreads to all it touches.

# %%
torch.manual_seed(0)
Q, K, V = torch.randn(3, 2, 4, 8, dtype=torch.float64)  # [B=2, N=4, d=8] each: two sentences
masked, _ = scaled_dot_product_attention(Q, K, V, padding)
alone, _ = scaled_dot_product_attention(Q[1, :2], K[1, :2], V[1, :2])  # the short sentence without padding
print("the short sentence, as alone:", torch.allclose(masked[1, :2], alone, rtol=0, atol=1e-12))
print("softmax of nothing:", torch.full((3,), -torch.inf).softmax(0).tolist())
blind = torch.ones(3, 3, dtype=torch.bool)
blind[1] = False  # query 1 may look at nothing
print("PyTorch's function:", F.scaled_dot_product_attention(q[None], k[None], v[None], blind)[0, 1].tolist())
try:
    scaled_dot_product_attention(q, k, v, blind)
except ValueError as error:
    print("the course's:      ", error)

# %% [markdown]
# PyTorch's function now quietly answers 0, and hides the mistake. The course's refuses. It happens easily: mask the
# padded *rows* as well as the columns, and padded queries are blind. Let them look at something; nobody reads what they
# find.
#
# **A ViT has neither mask.** All pictures of a batch have the same number of patches, so nothing is padded. And a
# picture has no before and after. With a causal mask the class token, at place 0, would see itself alone in every
# layer, and all pictures would get the same answer.
#
# ## The ear and the eye
#
# Does an ear look at an eye in a model that has learned? Here is a small ViT that the course has trained on
# photographs of 32×32 pixels (lesson 11), and a cat that it has never seen. The model cuts it into 8 rows of 8
# patches. It has no class token. You see its **scores**, which here are divided by √d already, and its **weights**,
# the shares after the softmax. Each layer has several **heads**, each with its own W_Q, W_K and W_V (lesson 5).
# (Layers, heads, patches, rows and columns are counted from 0, as in code: layer 3 is what lesson 2 called block 4.)
#
# It starts with patch 7 picked, in the upper right corner: the inside of an ear. Click the picture; then the arrow keys
# pick another patch.
#
# 1. Layer 3, head 0. Where does the ear look?

# %%
model, cat = load_model(DATA_FOLDER / "vit_cifar10.safetensors"), pictures("chelsea", 32)  # [3, 32, 32]
probabilities = model(model.card.normalize(cat[None])).softmax(dim=-1)[0].tolist()  # of ten classes
maps = attention_maps(model, model.card.normalize(cat[None]))  # one [1, h, 64, 64] per layer, after the softmax
before = attention_scores(model, model.card.normalize(cat[None]))  # the same, before it
print(
    f"the model says {model.card.class_names[probabilities.index(max(probabilities))]}, with {max(probabilities):.0%}"
)
print(len(maps), "layers, each", list(maps[0].shape), "= [B, h, N, N]")
print("softmax of the scores gives the weights:", torch.allclose(before[0].softmax(-1), maps[0], atol=1e-6))

# %%
looks, fits = ([layer[0] for layer in one] for one in (maps, before))  # of the one picture: [h, 64, 64] per layer
AttentionLab(cat, looks, model.grid_size, 0, scores=fits, layer=3, query=7, overlay=40)

# %% [markdown]
# 2. Now let an eye look: patch 18, in row 2 and column 2. Does it look back at the ear?
# 3. Go back to patch 7. Open *More* (`m`) for the maps of the scores and the weights, and point in one of them at patch
#    20, between the eyes. Its score is negative. Is its weight 0?
# 4. Raise the temperature (`+`). What happens to the weights, and what to the scores?
#
# <details><summary>What there was to see</summary>
#
# 1. At the eyes: 62% goes to patch 18, the pupil of one, and 20% to patch 30, the other.
# 2. No: patch 18 gives patch 7 0.3%. The score from ear to eye is 6.6, from eye to ear −1.1.
# 3. No: the weight is 0.02%. What counts is how far the score, −1.3, lies below the largest, 6.6: e to the power of
#    −7.9 is small, and still positive. Only a score of −∞ gives 0.
# 4. The weights become more even. The scores stay as they are: they are divided by the temperature on the way into the
#    softmax.
#
# </details>
#
# It is tempting to say: *the ear asks for the eyes.* But we have looked for this head among 24, with this picture.
# Three controls. Does a model that was never trained have such a head, if we look among its 24? What if the picture is
# mirrored? And do patches that are no ear give the eyes less?

# %% jupyter={"source_hidden": true}
ear, eyes = [7, 15], [18, 26, 30]  # the right ear fills two patches, the eyes three
mirror = [8 * (i // 8) + 7 - i % 8 for i in range(64)]  # where each patch is in the mirrored picture


def to_the_eyes(model, picture, eyes):  # what each patch gives to the eyes, in each of the 24 heads: [24, 64]
    maps = attention_maps(model, model.card.normalize(picture[None]))
    return torch.cat([layer[0][..., eyes].sum(dim=-1) for layer in maps])


torch.manual_seed(0)
untrained = ViT(model.config).eval()
untrained.card = model.card
head = 3 * model.config.num_heads  # head 0 of layer 3
given = to_the_eyes(model, cat, eyes)[head]
mirrored = to_the_eyes(model, cat.flip(-1), [mirror[i] for i in eyes])[head]
never = to_the_eyes(untrained, cat, eyes)[:, ear].mean(dim=-1)
print(f"the ear gives the eyes {given[ear].mean():.0%}; mirrored {mirrored[[mirror[i] for i in ear]].mean():.0%}")
print(f"never trained, in the head where it is most: {never.max():.0%}")
more = [patch for patch in range(64) if patch not in ear and given[patch] > given[ear].mean()]
print(f"all patches give them {given.mean():.0%} in the mean, and these more than the ear does: {more}")
print("from each patch, in percent:", (100 * given).round().int().reshape(8, 8), sep="\n")

# %% [markdown]
# It is learned: without training no head does anything of the kind. It is not a matter of places: the mirrored ear
# looks at the mirrored eyes (though the model has learned from mirrored photographs, too). Other pictures we have not
# tried. And the third control spoils the story: three patches at the bottom edge, far from any ear, give the eyes
# even more. (Of the other two in the list, patch 0 shows the edge of the other ear, and patch 1 the fur beside it.) A
# third of the patches, most of them in the middle of the face, give them less than 10%. So it matters who asks, but
# it is not only the ears that ask for the eyes. Lesson 8 asks what such maps prove.
#
# ## Claims, tested
#
# ### "softmax(QKᵀ/√d)V is all there is"
#
# If so, our three lines and PyTorch's function must give the same
# numbers for whatever we put in. Our three words, then fifty shapes at random, with and without a mask, in 64 bits:

# %% tags=["claim-A1"]
q, k, v = q.double(), k.double(), v.double()
hand = F.scaled_dot_product_attention(q[None], k[None], v[None])[0]
largest = (scaled_dot_product_attention(q, k, v)[0] - hand).abs().max().item()
for _ in range(50):
    B, N, M, d, d_v = torch.randint(1, 9, (5,)).tolist()  # N queries may look at M keys: the two need not be equal
    Q, K, V = (torch.randn(B, n, m, dtype=torch.float64) for n, m in ((N, d), (M, d), (M, d_v)))
    mask = torch.rand(N, M) < 0.7
    mask[:, 0] = True  # no blind query
    for allowed in (None, mask):
        ours, _ = scaled_dot_product_attention(Q, K, V, allowed)
        largest = max(largest, (ours - F.scaled_dot_product_attention(Q, K, V, allowed)).abs().max().item())
print("'spring' by hand, from the library:     ", [round(x, 1) for x in hand[2].tolist()])
print("largest difference below 0.000000000001:", largest < 1e-12)
print(judge(largest < 1e-12, "by hand, as matrices and in the library it is the same"))

# %% [markdown]
# ### "The square root keeps the softmax out of saturation"
#
# Take random queries and keys of d numbers, each with mean 0 and variance 1. Their dot product is a sum of d products,
# so its variance is d, and its usual size √d. So long vectors give large scores, and softmax then gives nearly
# everything to one key. This is called **saturation**. Why is it bad? With a pencil: two keys, with weights w and 1 −
# w. If the first score grows a little, w grows w·(1 − w) times as much. At w = 0.5 that is 0.25. At w = 0.99 it is
# 0.0099. A softmax that has made up its mind hardly reacts, so hardly any gradient comes through, and it learns slowly
# or not at all. That is the argument.
#
# We test it with 64 keys. We measure the entropy of the weights (ln 64 = 4.16 if 64 keys share evenly, 0 if one takes
# all), and how strongly the largest weight of each query reacts: the length of its **gradient**, as median and mean
# over 200 queries. We take it at two places: at the scores, the door of the softmax, and one step further back, at the
# query, from where it goes on to W_Q. All that is random is drawn 50 times.


# %% jupyter={"source_hidden": true}
def spread_and_gradient(d, scale, seed, keys=64, queries=200):
    torch.manual_seed(seed)
    asked = torch.randn(queries, d).requires_grad_()
    scores = asked @ torch.randn(keys, d).T * scale
    scores.retain_grad()
    weights = scores.softmax(dim=-1)
    entropy = -(weights * weights.clamp_min(1e-30).log()).sum(-1).mean()
    weights.max(dim=-1).values.sum().backward()  # how does the largest weight react to the scores?
    lengths = [place.grad.norm(dim=-1) for place in (scores, asked)]
    return entropy.item(), *(value for one in lengths for value in (one.median().item(), one.mean().item()))


dims = [1, 4, 16, 64, 256, 1024]
scales = {"divided by √d": lambda d: 1 / math.sqrt(d), "not divided": lambda d: 1}
drawn = {  # [6 dims, 50 draws, 5 numbers]
    how: torch.tensor([[spread_and_gradient(d, scale(d), seed) for seed in range(50)] for d in dims])
    for how, scale in scales.items()
}
mean = {how: numbers.mean(dim=1).T for how, numbers in drawn.items()}  # over the draws: [5, 6]

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 3, size=(12, 3.6))
titles = ["entropy of the weights", "gradient at the scores", "gradient at the query"]
for which, name in enumerate(["", ", median", ", mean", ", median", ", mean"]):
    place, style = (which + 1) // 2, "--" if name == ", mean" else "-"
    ax, lines = axes[0, place], {f"{how}{name}": numbers[which] for how, numbers in mean.items()}
    plots.draw_lines(ax, dims, lines, "d, numbers in a query", titles[place], marker="o", linestyle=style)
    ax.set_xscale("log", base=2)
    ax.set_xticks(dims, dims)
    ax.minorticks_off()
    ax.set_yscale("log" if place else "linear")
plots.show(
    figure,
    alt="With the division, entropy and gradients stay level. Without it the entropy falls. The gradient at the scores first rises, then falls: its median to nearly nothing, its mean to about half. At the query the mean goes on rising, and only the median falls.",
)

# %% tags=["claim-A2"]
divided, undivided = drawn.values()
entropies = mean["divided by √d"][0], mean["not divided"][0]  # over d = 1, 4, … 1024
print("entropy at d = 1024: divided {:.1f}, not divided {:.1f}".format(*(of_d[-1] for of_d in entropies)))
level, falls = ((of_d.max() - of_d.min()).item() for of_d in entropies)
print(judge(level < 0.3 and falls > 3, "for random vectors the entropy stays level with the division, not without"))
for place, numbers in (("scores", slice(1, 3)), ("query", slice(3, 5))):
    smaller = (divided - undivided)[..., numbers].min(dim=-1).values  # by how much, in median and mean: [6, 50]
    draws = {f"d = {d}": (of_d.tolist(), [0.0] * 50) for d, of_d in zip(dims, smaller, strict=True) if d > 1}
    claim = f"without the division the gradient at the {place} is smaller, in median and mean"
    print(compare_each(draws, claim, holds="if", of="draws"))

# %% [markdown]
# So the scores do saturate the softmax. But up to d = 64 the gradient at the scores is *larger* without the division:
# the weights lie on fewer keys, no longer on nearly 40 and not yet on one, and there the softmax reacts most. At d =
# 256 and 1024 it is smaller by both measures.
#
# At the query the story turns. On its way there the gradient is mixed from the keys, whose length grows as √d. The
# division takes this growth away: the mean is larger *without* it at every d above 1. Only the median falls below, at d
# = 1024: from most queries hardly any gradient goes on to W_Q, and from a few a great deal. So *too little gradient* is
# not the whole story. Vaswani et al. themselves only *suspect* that gradients become extremely small (2017, section
# 3.2.1). What dividing by √d surely does is to bring the variance of the scores back to 1, whatever d is.
#
# But W_Q and W_K are learned. Could they make up for a missing division, by learning to be smaller or by *starting*
# smaller? The course has trained a small ViT of one head with d = 64: divided; not divided; and not divided, but with a
# W_Q that is divided by √d once, before the first step. Each was tried at three learning rates, and trained at its
# best.

# %% jupyter={"source_hidden": true}
study = load_study("scale")
print("made by:", study.command)
print(f"{study.settings['training']['epochs']} epochs of {study.data['training']:,} pictures, seeds {study.seeds}")
accuracies = study.accuracies()
figure, axes = plots.new_figure(size=(8, 2.6))
plots.draw_spread(axes[0, 0], accuracies, xlabel="test accuracy, one point per seed")
means = [f"{name} {fmean(points):.0%}" for name, points in accuracies.items()]
plots.show(
    figure,
    alt=f"Test accuracy, three points in each row, and their means: {'; '.join(means)}.",
    caption="In the last row W_Q was divided by √d once, before the first step, and nothing was divided afterwards.",
)

# %% tags=["claim-A2"]
divided, undivided, small_start = (study.scores(name) for name in study.variants)
pairs = {
    "divided against not divided": (divided, undivided),
    "divided against small start": (divided, small_start),
    "small start against not divided": (small_start, undivided),
}
print(compare_each(pairs, "the first of the two ends better", holds="if"))

# %% [markdown]
# Not dividing costs 12 points here. The smaller start gets more than half of them back in the mean, so much of the harm
# may be the start. But three seeds show neither that it helps, nor that dividing is still better. √d is a good place to
# start; whether it is more than that, this record does not say.
#
# ### "Attention costs N²"
#
# Count the multiplications in one block with N tokens of D numbers, with the block's MLP (lesson 6), and one head, d =
# D. (With h heads of d = D/h numbers the sums are the same.) A product of [a, b] and [b, c] takes a·b·c of them (lesson
# 1 counted the additions too: twice as much):
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
# And it overtakes all the rest, 12·N·D², at N = 6·D. PyTorch can count for us, in a block of ViT-B, D = 768:

# %% jupyter={"source_hidden": true}
from torch.utils.flop_counter import FlopCounterMode


def multiplications(function, *inputs):
    with FlopCounterMode(display=False) as counter:
        function(*inputs)
    return counter.get_total_flops() // 2  # it counts a multiplication and an addition as two


D, right, counted = 768, [], {}
with torch.device("meta"):  # tensors there have a shape and no numbers, so nothing is really computed
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

# %% jupyter={"source_hidden": true}
sizes = torch.logspace(1, 4.9, 50, base=10).tolist()
lines = {
    "QKᵀ and weights · V": [2 * n * n * D for n in sizes],
    "MLP": [8 * n * D * D for n in sizes],
    "Q, K, V and projection": [4 * n * D * D for n in sizes],
}
figure, axes = plots.new_figure(size=(8, 3.8))
plots.draw_lines(axes[0, 0], sizes, lines, "tokens N", "multiplications in one block")
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

# %% tags=["claim-A7"]
N = 196 + 1
share = 2 * N * N * D / (2 * N * N * D + 12 * N * D * D)
print(
    f"ViT-B/16 at 224x224: the N² part is {share:.1%} of a block's multiplications, {1 - share:.0%} grow with N alone"
)
squares = {part: counted[4 * D][part] == 16 * counted[D][part] for part in counted[D]}
print(judge(squares, "4 times the tokens cost 16 times the work", holds="if"))

# %% [markdown]
# The table of N² weights need not even be stored: the first extra measures what that saves.
#
# The lesson's text ends here. You may go on to the exercises at once.

# %% [markdown] tags=["extra"]
# ## Extras
#
# ### What memory holds, and what the clock says
#
# *Extra.* The table of weights has N² numbers for each head. The plain way keeps it while training, since the gradient
# needs it. A *fused* kernel never stores it, and works through the table piece by piece. For each query it keeps a
# running largest score, a running sum and a running output. For the way back it stores one number for each query, the
# logarithm of the sum of all e to the score, and computes the pieces again (*FlashAttention-2*, Dao 2023, after Dao et
# al. 2022). `F.scaled_dot_product_attention` does so where it has such a kernel. We ask autograd what each of the two
# keeps for the way back:


# %% tags=["extra"]
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


# %% tags=["extra"]
plain = [kept_bytes(lambda *qkv: scaled_dot_product_attention(*qkv)[0], N) for N in (1024, 2048)]
fused = [kept_bytes(F.scaled_dot_product_attention, N) for N in (1024, 2048)]
whole, small = plain[1] >= 4 * 2048**2, fused[1] < 2048**2  # against 4 bytes for each number of the table
print(f"plain keeps the table of N² numbers:   {whole}; for twice the tokens {plain[1] / plain[0]:.0f} times as much")
print(f"fused keeps less than a quarter of it: {small}; for twice the tokens {fused[1] / fused[0]:.0f} times as much")

# %% [markdown] tags=["extra"]
# So far we have counted. Does the clock agree? The next cell reads a record: one thread, forward only, 4 heads at D =
# 64 and 3 at D = 192. The time holds QKᵀ, the softmax and weights · V, without the projections. "Plain" is the
# course's function, "fused" PyTorch's. Each is divided by the time of the MLP at the same N. Counted, that ratio is
# 2·N²·D / 8·N·D² = N / (4·D).

# %% tags=["extra"]
import json

record = json.loads((DATA_FOLDER / "results" / "benchmark_cost.json").read_text())
print("made by:", record["command"], "on", record["environment"]["hardware"])
figure, axes = plots.new_figure(1, 2, size=(10, 3.4), sharey=True)
for ax, crossing in zip(axes[0], record["crossovers"], strict=True):
    rows = [row for row in record["rows"] if row["D"] == crossing["D"]]
    lines = {
        name: [row["over_mlp"][path] for row in rows] for path, name in (("explicit", "plain"), ("fused", "fused"))
    }
    lines["counted, N / (4·D)"] = [row["N"] / crossing["counted"] for row in rows]
    plots.draw_lines(ax, [row["N"] for row in rows], lines, "tokens N", "time, as a multiple of the MLP's", marker="o")
    ax.axhline(1, color="black", linewidth=0.8, linestyle=":")
    ax.set(title=f"D = {crossing['D']}", xscale="log", yscale="log")
plots.show(
    figure,
    alt="Time of attention over time of the MLP against tokens, for two widths. All lines rise. The plain one lies far above the counted one, the fused one near it.",
    caption="Above the dotted line attention takes longer than the MLP.",
)

# %% tags=["extra"]
for row in record["crossovers"]:
    print(f"D = {row['D']:>3}: as long as the MLP at N = {row['counted']} counted, {row['explicit']} plain, ", end="")
    print(f"{row['fused']} fused; fused as counted, to 10%: {abs(row['fused'] / row['counted'] - 1) < 0.1}")
sooner = all(row["explicit"] < 0.9 * row["counted"] for row in record["crossovers"])
print("on the clock the plain way crosses the MLP", "earlier than counted" if sooner else "as counted")

# %% [markdown] tags=["extra"]
# Multiplications are not all there is. The softmax is not counted, and the plain way writes three tables of N² numbers
# into memory, and reads each again. At D = 64 and the largest N this costs:

# %% tags=["extra"]
largest = max((row for row in record["rows"] if row["D"] == 64), key=lambda row: row["N"])
print(f"D = 64, N = {largest['N']:,}: plain takes as long as {largest['over_mlp']['explicit']:.0f} MLPs", end=", ")
print(f"fused {largest['over_mlp']['fused']:.0f}; counted {largest['N'] / (4 * 64):.0f}")

# %% [markdown] tags=["extra"]
# ### "Pixels as tokens are out of the question, because the table is too large"
#
# *Extra.* So lesson 1 found. Does it hold with a fused kernel? We count for ViT-B, one picture, all heads and layers,
# and compare with what the MLPs keep: for each token 4·D numbers before the function between their two matrices (lesson
# 6), and 4·D after it.

# %% tags=["extra", "claim-P4"]
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

# %% [markdown] tags=["extra"]
# The memory that is left still grows with the number of tokens, and the MLPs need more of it. It is the work that
# decides.

# %% [markdown] tags=["extra"]
# ### What is wrong with the start
#
# *Extra.* In the study of the square root the ViT that does not divide ended 12 points behind. Is the reason a
# gradient that is too small? We look at the models of that study before the first step: how much of its 1 does a
# query of the first block give to one single token, and how large is the gradient of the loss on its W_Q?


# %% tags=["extra"]
from vit_tutorial.studies import EXPERIMENTS, make_data, make_model


def before_training(recipe, images, labels, seed):
    model = make_model(recipe, data, seed)
    F.cross_entropy(model(images), labels).backward()
    with torch.no_grad():
        sure = (attention_maps(model, images)[0].max(dim=-1).values > 0.5).float().mean().item()
    return sure, model.blocks[0].attn.qkv.weight.grad[:64].norm().item()  # W_Q is the upper third of [3·D, D]


recipes = list(EXPERIMENTS["scale"].variants.values())[:2]
data = make_data(recipes[0])
images, labels = data.normalize(data.train_images[:256]), data.train_labels[:256]
begin = [[before_training(recipe, images, labels, seed) for seed in range(5)] for recipe in recipes]
print(f"If a query gave all 17 tokens the same, that would be 1/17 = {1 / 17:.2f} each. Of 5 seeds, in how many")
for name, runs in zip(("divided", "not divided"), begin, strict=True):
    print(f"  {name + ':':<13} most queries give one token more than 0.5: {sum(sure > 0.5 for sure, _ in runs)}")
gradients = [[gradient for _, gradient in runs] for runs in begin]
smaller = sum(a > b for a, b in zip(*gradients, strict=True))
print("  the gradient is smaller without the division:", smaller)

# %% [markdown] tags=["extra"]
# So it is not too little gradient that they begin with. What sets them apart is the choice: before the first step, most
# queries already copy mostly one token, picked by chance.

# %% [markdown] tags=["extra"]
# ### "Put −∞ in the lower left" and "softmax the columns"
#
# *Extra.* Which corner holds the looks that a causal mask forbids, and along which axis do we sum to 1? It depends on
# how you draw the table.
#
# - As code writes it, **rows are queries**, columns are keys. "After" is to the right of the diagonal: the *upper
#   right*. Each query shares out 1, so each *row* sums to 1.
# - Many videos draw tokens as columns. Q, K and V are [d, N], the table is KᵀQ, and **columns are queries**.
#
# The witness is PyTorch's own causal mask. It does not show its weights. But if value j is all 0 except for a 1 at
# place j, then the output *is* the row of weights.

# %% tags=["extra"]
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
    alt="Two 4 by 4 tables of causal weights. The left one is zero upper right, and rows sum to 1; the right one is the left one, mirrored at its diagonal.",
)

# %% tags=["extra", "claim-A3", "claim-A4"]
upper_right = torch.equal(theirs == 0, ~causal_mask(4))  # zero there, and nowhere else
same = torch.allclose(drawn, theirs.T, rtol=0, atol=1e-12)
mixed = torch.allclose((Q[0] @ Kc / math.sqrt(6)).masked_fill(~causal_mask(4), -torch.inf).softmax(dim=0), theirs)
print("PyTorch's table is 0 exactly in the upper right:              ", upper_right)
print("columns as queries, −∞ lower left, softmax down: its transpose:", same)
print("rows as queries, but softmax down: the same table:            ", mixed)
drawings = {"columns hold the queries": upper_right and same, "rows do": mixed}
print(judge(drawings, "one masks the lower left and softmaxes the columns", holds="if"))

# %% [markdown] tags=["extra"]
# The third line is the mistake to beware of: to take the table from the code and the axis from a drawing with
# columns as queries. Nothing crashes then.

# %% [markdown] tags=["extra"]
# ### "aunt − uncle is woman − man, and the unembedding is the transposed embedding"
#
# *Extra*, as all that follows, for those who come from text. A language model's tokens are words. Each word has a row
# of D numbers in a table, its **embedding**. Here are ten words with two numbers each, written by hand: to the right is
# female, up is older.

# %% tags=["extra"]
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

# %% tags=["extra"]
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

# %% [markdown] tags=["extra"]
# Of course it works: we have put the words there. Does a model do that by itself? At the end a language model has a
# vector z for a place, and wants a score for every word of its vocabulary of V words: z U, with the **unembedding** U
# of [D, V]. Many models take U = Eᵀ, the embedding turned on its side. Then a word's score is the dot product of z with
# that word's own embedding. This is called **tied** weights (Vaswani et al. 2017, section 3.4; Press and Wolf 2017).
#
# We train both kinds, in seconds, on forty sentences about ten people. The model is one layer of causal attention.

# %% tags=["extra"]
import itertools

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


# %% tags=["extra"]
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


# %% tags=["extra"]
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


# %% tags=["extra"]
trained = {tied: [learn(tied, seed) for seed in range(6)] for tied in (True, False)}
for tied, runs in trained.items():
    print("tied:  " if tied else "untied:", "loss below 0.8 with every seed:", all(run[3] < 0.8 for run in runs))
print(f"guessing among {len(vocabulary)} words would give ln {len(vocabulary)} = {math.log(len(vocabulary)):.1f}")


# %% tags=["extra"]
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


# %% tags=["extra"]
start, after = (fmean(parallel(run[which]) for run in trained[False]) for which in (0, 1))
turned = {tied: fmean(likeness(run[1], run[2].T) for run in runs) for tied, runs in trained.items()}
hits = {barred: [right_sums(run[1], barred) for run in trained[False]] for barred in (False, True)}
print("untied, mean of six seeds:")
print(f"  likeness of 'aunt - uncle' to 'woman - man': untrained {abs(start):.1f}, trained {after:.1f}")
for barred, counts in hits.items():
    print("  words of the sum barred as answers:" if barred else "  all words allowed as answers:      ", end=" ")
    print(f"more than half of the 20 sums right with {sum(n > 10 for n in counts)} of 6 seeds")
print("  barring them gives more right answers:", sum(hits[True]) > sum(hits[False]))
print(f"likeness of embedding and transposed unembedding: tied {turned[True]:.1f}, untied {abs(turned[False]):.1f}")

# %% tags=["extra"]
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

# %% tags=["extra", "claim-A8"]
ways = [[parallel(run[which]) for run in trained[False]] for which in (1, 0)]
claim = "training makes aunt - uncle more like woman - man, by more than 0.3"
print(compare(*ways, claim, at_least=0.3, names=("likeness after training", "before")))
sums, claim = [n / 20 for n in hits[True]], "man + aunt - uncle is woman, and most such sums come out"
print(compare(sums, [0.5] * 6, claim, names=("sums that come out", "half"), unit="points"))
transposed = {"the weights are tied": turned[True] > 0.999, "they are not": turned[False] > 0.999}
print(judge(transposed, "the unembedding is the transposed embedding", holds="if"))

# %% [markdown] tags=["extra"]
# Nobody told the model what an aunt is. But in these sentences every woman is followed by *she* and *her*, and every
# man by *he* and *his*. That is a direction which pays, so training makes one. A common direction is not yet a sum that
# comes out: the words also differ in much else. When such sums are scored, the three words of the question are usually
# barred as answers; otherwise the nearest word is often one of them (Linzen 2016).
#
# The original Transformer and GPT-2 tie their weights; Llama 2 does not. **A ViT has nothing to tie.** Pixels go in and
# classes come out: its embedding is a matrix from the numbers of a patch to D, its head one from D to the classes.

# %% [markdown] tags=["extra"]
# ### "*fluffy* attends to *creature*"
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
# *creature* asks, and *fluffy* answers. So *creature* attends to *fluffy*, and comes out as a fluffy one.
#
# ### "While training, every place predicts its next word at once; afterwards only the last vector answers"
#
# *Extra.* If so, one pass over a sentence gives what all its beginnings give, each run alone. An untrained model will
# do.

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
# ### "The embedding matrix holds the position too, and attention changes it: E + ΔE is the new embedding matrix"
#
# *Extra.* Look at the matrix before and after a sentence is read. In *the man was at work and he was glad* the word
# *was* stands at two places.

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
# Positions and what attention finds are added to the *token*, a copy of the row, at each place on its own. (Where
# tokens are written as columns, E has a column for each word.)
#
# ### "In GPT-3 the embedding has 617.6 million numbers, and W_Q only 1.57 million"
#
# *Extra*, for a pencil. GPT-3 is a language model with D = 12,288 and queries of d = 128 numbers (Brown et al. 2020,
# table 2.1). Its vocabulary is that of GPT-2, 50,257 pieces of words (Radford et al. 2019, section 2.3). Which shapes
# have the two matrices? Then multiply.

# %% tags=["extra", "claim-A13"]
V, D, d = 50_257, 12_288, 128
counted = {"the embedding [V, D]": (V * D, 617.6), "W_Q [D, d]": (D * d, 1.57)}
for name, (numbers, said) in counted.items():
    print(f"{name:<21}{numbers:>12,}   said: {said} million")
as_said = {name: abs(numbers / (said * 1e6) - 1) < 0.002 for name, (numbers, said) in counted.items()}
print(judge(as_said, "the counts are as said, to 2 in 1,000"))

# %% [markdown] tags=["extra"]
# The second is one of many: GPT-3 has such a W_Q for each of 96 heads in each of 96 layers.
#
# ### "The Transformer also has a decoder"
#
# *Extra.* The first Transformer translates. Its encoder reads the sentence, as a ViT reads a picture. Its decoder
# writes the translation, and each of its blocks has three branches (Vaswani et al. 2017, section 3.1): attention with a
# causal mask, **cross-attention**, whose queries come from the decoder and whose keys and values come from the encoder,
# and the MLP. PyTorch has such a block. We compute it with our function, in one head. (Its norms come in lesson 6.)

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

# %% [markdown]
# ## Tidy up before the exercises
#
# We delete the short names that the cells above have left, so that a letter that you forget to define in your answer is
# an error, and not an old number. To run an earlier cell again, run the lesson from the top.

# %% jupyter={"source_hidden": true}
used = """
A a accuracies after allowed alone along arrow arrows as_said at_once attend attends attention ax axes B b barred
before before_training begin blind block books box cards cat causal causal_mask changes claim colour columns counted
counts crossing D d d_v data decoder dims divided drawings drawn draws E ear embedding end entropies equal
exponentials eyes falls few figure fits fused gigabyte given goal gradients grey hand he head height hidden his hits
i ids images is_so j K k Kc kept_bytes key keys kinds labels largest last leads learn letter letters level likeness
line lines looks M maps mask masked mean meaning means mirror mirrored mixed mlp model more moved multiplications N
name names nearest never number numbers options other ours out output padding padding_mask pair pairs panels parallel
PEOPLE phrase place plain probabilities Q q Qc reach read reader recipes record rest right right_sums row rows runs S
said same says scales scores sentences share side size sizes small small_start smaller sooner spread_and_gradient
squared squares start study style sums table tables takes_most text texts theirs tied times TinyLanguageModel title
titles to_the_eyes tokens trained transposed turned undivided unembedding unit untrained up
upper_right V v value vectors vocabulary W_k W_q W_v was ways weight weights which who whole width without word words
x y Z z
"""
for gone in used.split():
    globals().pop(gone, None)  # no error if it is gone already, so that this cell may run twice

# %% [markdown]
# ## Exercise: one output with a pencil
#
# Difficulty 1 of 5, about 6 minutes. Importance 3 of 3. One query, three keys, three values. There are *four* numbers
# in a query now, and two in a value:
#
# | query | keys | values |
# |---|---|---|
# | 2, 1, 0, 1 | key 0: 0, 0, 3, 0 | value 0: 10, 0 |
# | | key 1: 1, 0, 1, 0 | value 1: 0, 10 |
# | | key 2: 1, 1, 0, 1 | value 2: 10, 10 |
#
# Work out the output on paper, to one decimal, and return its two numbers. You may need e ≈ 2.7 and e² ≈ 7.4.
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
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_output(query, keys, values):
    # scores 0, 2, 4; divided by √4: 0, 1, 2; weights 1/11.1, 2.7/11.1, 7.4/11.1 = 0.09, 0.24, 0.67
    return 0.09 * 10 + 0.24 * 0 + 0.67 * 10, 0.09 * 0 + 0.24 * 10 + 0.67 * 10


check.attention_by_hand(my_output)

# %% [markdown]
# ## Exercise: write `attention`
#
# Difficulty 2 of 5, about 12 minutes. Importance 3 of 3. q is [..., N, d], k is [..., M, d], v is [..., M, d_v], with
# any number of batch axes in front: N queries look at M keys, and a value has d_v numbers. (In self-attention M is N.)
# So transpose with `k.transpose(-2, -1)`. The mask is boolean, [N, M], True where a query may look, or None. Return the
# outputs, [..., N, d_v].
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
# Difficulty 2 of 5, about 10 minutes. Importance 2 of 3. A batch of B sentences for a language model, each filled up to
# `size` places. `lengths` [B] says how many words each has; they stand at the front. Return a boolean mask [B, size,
# size], True where a query may look: not ahead, and not at padding. Every sentence has at least one word. Padding is
# masked where it is looked at, in the columns; so the rows of the padding have something to look at too.
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
# Difficulty 2 of 5, about 6 minutes. Importance 2 of 3. For a block with N tokens of D numbers, one head with d = D,
# and an MLP of 4·D, return three numbers: the multiplications of the N² part of attention (QKᵀ, and weights times V),
# those of the MLP, and the number of tokens at which both are equal. Try it without looking up.
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
# Difficulty 3 of 5, about 12 minutes. Importance 3 of 3. A class with one head: three layers `nn.Linear(dim, dim)`
# called `query`, `key` and `value`, and the formula of this lesson. The check builds `MySelfAttention(dim, 1)`, as
# `ViT` does: the width, and the number of heads, which you need not use. x is [B, N, dim], and so is what comes out. No
# other layers. Try to write the formula yourself, or use your `my_attention`.
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
data = load("fashion_mnist")
config = ViTConfig(28, 7, in_channels=1, num_classes=10, dim=32, depth=2, num_heads=1)  # 16 patches and the class token
seen, labels = data.normalize(data.train_images[:1500]), data.train_labels[:1500]


def short_training(attention, steps=150):
    torch.manual_seed(0)
    model = ViT(config, attention=attention)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    for _ in range(steps):
        batch = torch.randint(len(seen), (32,))
        loss = F.cross_entropy(model(seen[batch]), labels[batch])
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
# ## The bug clinic
#
# A colleague has written this attention. It trains well, he says. But when he moves his model to larger pictures, as in
# lesson 3, it gets worse, and attention looks washed out. His code stands below, but do not search it yet: doctors
# measure first.


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
# Five instruments find nothing. The fifth line finds it: the answer depends on *how many* tokens there are. How does
# that look? If all weights are equal, each output is the mean of the values: nobody has chosen anything. So here is how
# far outputs are from that mean, with every token 1, 2, 4 … 64 times:

# %% jupyter={"source_hidden": true}
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
# Difficulty 3 of 5, about 10 minutes. Importance 2 of 3. Something in the patient's `forward` depends on the number of
# tokens, and should not. Find it, and write a `forward` that is well. Your class takes over the patient's `__init__`.
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
# 1. A query asks, a key offers, a value is handed over. Three matrices make all three from the same tokens.
# 2. softmax(QKᵀ/√d)V: each query shares out 1 among the keys, and its output is a mixture of values. Who looks at whom
#    is one-sided.
# 3. √d keeps the scores from growing with d: those of random vectors have variance 1, whatever d is. d is the length of
#    a query: not the number of tokens.
# 4. A mask is −∞ before the softmax. Models that write text need a causal mask, and batches of unequal sentences a
#    padding mask; a ViT needs neither. No query may be left with nothing to look at.
# 5. The N² part overtakes the MLP at N = 4·D. The N×N table need not be stored, but it must be computed.
#
# | step | shape |
# |---|---|
# | tokens Z | [B, N, D] |
# | Q, K, V | [B, N, d] |
# | scores, weights, mask | [B, N, N] |
# | output | [B, N, d] |
#
# **Five questions.** Three on this lesson, and two that mix in earlier ones.
#
# <details><summary>All keys are equal. What are the weights?</summary>All equal, 1/N, whatever the query asks. The
# output is the mean of the values.</details>
# <details><summary>Every score of a query grows by 5. What changes?</summary>Nothing. Softmax looks at differences
# only.</details>
# <details><summary>A sentence of 3 words is filled up to 5 places. How many numbers of its boolean causal-and-padding mask are
# True?</summary>Rows 0, 1 and 2 see 1, 2 and 3 keys. Rows 3 and 4 are padding and see the 3 words: 1 + 2 + 3 + 3 + 3 =
# 12.</details>
# <details><summary>A 32×32 image, P = 4, and a class token. How many numbers has the table of weights of one head, for one image
# (lessons 1 and 2)?</summary>8 · 8 patches and the class token are 65 tokens. Each looks at each: 65 · 65 = 4,225.</details>
# <details><summary>Two patches of a picture are equal, pixel by pixel. Can they have different queries in the first block
# (lesson 3)?</summary>Yes, if there are positions: what W_Q gets is the patch's token plus its position. Without positions
# no.</details>
#
# **Next**: one table of weights is one kind of question. Lesson 5 lets every token ask several at once.
#
# **Read on**: Vaswani et al. 2017, *Attention Is All You Need*, sections 3.2.1 and 3.4 · Dao et al. 2022,
# *FlashAttention* · Dao 2023, *FlashAttention-2*, section 3.1.1 · Press and Wolf 2017, *Using the Output Embedding to
# Improve Language Models* · Mikolov, Yih and Zweig 2013, *Linguistic Regularities in Continuous Space Word
# Representations* · Linzen 2016, *Issues in Evaluating Semantic Spaces Using Word Analogies* · Dehghani et al. 2023,
# *Patch n' Pack: NaViT* (a ViT that packs pictures of several sizes, and does need a mask) · the code of this lesson:
# `vit_tutorial/attention.py`.
