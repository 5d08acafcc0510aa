# %% [markdown]
# # 5 · Multi-head attention: several questions at once
#
# **The question.** In lesson 4 every token asked one question, and had one unit of attention to share out for the
# answer. But a cat's ear has more than one question. Where is the other ear? What is just below me? What colour is the
# fur? If one row of weights must answer all of these, it answers each of them a little. *One token, several
# questions: how can it ask them at once?*
#
# **What you will do**
#
# 1. Compute two heads with a pencil: three tokens of four numbers each.
# 2. Cut tokens into heads in code, and meet the mistake that nearly everyone makes once.
# 3. Put the heads back together, and see what the last matrix is for.
# 4. Load the same numbers into PyTorch's `nn.MultiheadAttention`, and get the same output.
# 5. See what the heads of a trained model look at.
#
# **Time**: 40 minutes. **You need**: lesson 4 (queries, keys, values, softmax).

# %%
import torch
from einops import rearrange
from torch import nn

from vit_tutorial import MultiHeadAttention, ViT, attention_maps, count_parameters, load_model, plots
from vit_tutorial import scaled_dot_product_attention
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.exercises import check
from vit_tutorial.explore import AttentionLab

torch.set_num_threads(1)  # the same numbers on every machine
torch.set_printoptions(precision=2, sci_mode=False)

# %% [markdown]
# ## By hand
#
# Three tokens, D = 4 numbers each. The first two numbers say the colour (red, blue), the last two say the shape
# (round, square).
#
# | token | what it is | red | blue | round | square |
# |---|---|---|---|---|---|
# | 0 | a red ball | 2 | 0 | 2 | 0 |
# | 1 | a red box | 2 | 0 | 0 | 2 |
# | 2 | a blue ball | 0 | 2 | 2 | 0 |

# %%
Z = torch.tensor([[2.0, 0, 2, 0], [2, 0, 0, 2], [0, 2, 2, 0]])  # [N=3, D=4]
names = ["red ball", "red box", "blue ball"]

# %% [markdown]
# Token 0, the red ball, has two questions: *who has my colour?* and *who has my shape?*
#
# **One head.** To keep it short, let queries and keys be the tokens themselves. The red ball has these scores:
# with itself 2·2 + 2·2 = 8, with the red box 2·2 = 4, with the blue ball 2·2 = 4. Divide by √D = 2, then softmax:

# %%
_, one_head = scaled_dot_product_attention(Z, Z, Z)  # q, k, v [N, D] -> output [N, D], weights [N, N]
for name, weight in zip(names, one_head[0], strict=True):
    print(f"the red ball looks at the {name:<9} with weight {weight:.2f}")

# %% [markdown]
# The box and the ball get the same weight. One has the same colour, the other the same shape, and the row of weights
# does not say which is which. The two questions got mixed.
#
# **Two heads.** Cut each token in two halves of d = D/h = 4/2 = 2 numbers. Head 0 gets the first half of every token,
# head 1 the second half. Each head does attention on its own, with its own softmax.
#
# Take a pencil. Head 0 sees only colours: [2, 0], [2, 0], [0, 2].
#
# - scores of the red ball: 2·2 = 4, 2·2 = 4, and 0
# - divided by √d = 1.41: 2.83, 2.83, 0
# - exponentials: 16.9, 16.9, 1, which add up to 34.8
# - weights: **0.49, 0.49, 0.03**
#
# Do head 1 yourself. It sees only shapes: [2, 0], [0, 2], [2, 0].

# %%
d = 2
for head in range(2):
    half = Z[:, head * d : (head + 1) * d]  # [N, d]: the numbers of this head, of every token
    _, weights = scaled_dot_product_attention(half, half, half)
    print(f"head {head}: the red ball looks with weights", [round(w, 2) for w in weights[0].tolist()])

# %%
colour, shape = (scaled_dot_product_attention(half, half, half)[1] for half in (Z[:, :2], Z[:, 2:]))
tables = {"one head: who is like me?": one_head, "head 0: my colour?": colour, "head 1: my shape?": shape}
figure, axes = plots.new_figure(1, 3, size=(10, 3.3))
for ax, (title, table) in zip(axes[0], tables.items(), strict=True):
    plots.draw_matrix(ax, table, title, rows=names, columns=names, vmin=0, vmax=1)
plots.show(
    figure,
    alt="Three tables of weights. With one head, the red ball gives box and blue ball equal weight. Head 0 joins the red ones, head 1 the round ones.",
    caption="Each row is a token that asks; each row sums to 1.",
)

# %% [markdown]
# Two questions, two tables, and nothing mixed. That is the whole idea: **a head is attention on a part of the numbers;
# multi-head attention runs h of them side by side.**
#
# | letter | meaning | ViT-B |
# |---|---|---|
# | D | numbers per token | 768 |
# | h | heads | 12 |
# | d | numbers per head, D/h | 64 |

# %% [markdown]
# ## In code
#
# ### Cut into heads
#
# Our loop went over heads. Attention takes any axes in front of [N, d], so all heads can go through it in one call, if
# we give it [B, h, N, d]. We split D into h groups of d numbers, and put h in front of N. `einops` says just that.

# %%
x = Z[None]  # [B=1, N=3, D=4]
heads = rearrange(x, "b n (h d) -> b h n d", h=2)  # [1, 2, 3, 2]
_, weights = scaled_dot_product_attention(heads, heads, heads)  # [B, h, N, N]
print(list(x.shape), "->", list(heads.shape), "-> weights", list(weights.shape))
print("the same weights as by hand:", torch.equal(weights[0], torch.stack([colour, shape])))

# %% [markdown]
# ### The mistake that nearly everyone makes once
#
# We want the shape [B, h, N, d]. Why not simply ask for it, with `view`? Name each number so that we can follow it:
# 21 is number 1 of token 2.

# %%
numbered = torch.tensor([[[0, 1, 2, 3], [10, 11, 12, 13], [20, 21, 22, 23]]])  # [B=1, N=3, D=4]
right = rearrange(numbered, "b n (h d) -> b h n d", h=2)
wrong = numbered.view(1, 2, 3, 2)  # the same shape, in one step
print("head 0, right:", right[0, 0].tolist())
print("head 0, wrong:", wrong[0, 0].tolist())
print("the shapes are the same:", right.shape == wrong.shape)

# %%
figure, axes = plots.new_figure(1, 3, size=(10, 3), width_ratios=[1.5, 1, 1])
options = {"decimals": 0, "vmin": 0, "vmax": 30}
rows = ["token 0", "token 1", "token 2"]
plots.draw_matrix(axes[0, 0], numbered[0], "tokens [N, D]", rows=rows, **options)
axes[0, 0].axvline(1.5, color="white", linewidth=4)
plots.draw_matrix(axes[0, 1], right[0, 0], "right: head 0 [N, d]", **options)
plots.draw_matrix(axes[0, 2], wrong[0, 0], "view alone: head 0", **options)
plots.show(
    figure,
    alt="Left, tokens 0, 1, 2 with four numbers each, cut in the middle. Right, head 0: with the right cut it holds two numbers of each token; with view alone it holds 0 1, 2 3, 10 11, so token 2 is missing.",
)

# %% [markdown]
# `view` moves nothing. It reads the numbers in the order in which they lie in memory: all of token 0, then half of
# token 1. So head 0 got *tokens* dealt out to it, and never sees token 2. There is no error. The shape is right, the
# model runs, and each head is blind to half of the picture. We can measure the blindness:

# %%
changed = numbered.clone()
changed[0, 2] += 100  # change token 2 only
changed_right = rearrange(changed, "b n (h d) -> b h n d", h=2)
print("right cut: head 0 notices that token 2 changed:", not torch.equal(changed_right[0, 0], right[0, 0]))
print("view alone: head 0 notices that token 2 changed:", not torch.equal(changed.view(1, 2, 3, 2)[0, 0], wrong[0, 0]))

# %% [markdown]
# `view` and `reshape` may *split* an axis: [B, N, D] to [B, N, h, d] is right. To bring h in front of N, numbers
# must change places, and that takes `transpose`, `permute` or `rearrange`.
#
# ### All queries, keys and values from one matrix
#
# In lesson 4 three matrices made Q, K and V from the tokens. With h heads one could write 3·h small ones. PyTorch,
# torchvision and timm all write **one**, with 3·D columns, and cut its output:
#
# $$[\,q,\; k,\; v\,] = z\,U_{qkv} \qquad U_{qkv} \in \mathbb{R}^{D \times 3D}
# \qquad \text{(appendix A of the ViT paper, equation 5, all heads at once)}$$

# %%
torch.manual_seed(0)
B, N, D, h = 2, 5, 8, 2
d = D // h
z = torch.randn(B, N, D, dtype=torch.float64)
qkv = nn.Linear(D, 3 * D, bias=False, dtype=torch.float64)  # one matrix for everything
q, k, v = rearrange(qkv(z), "b n (three h d) -> three b h n d", three=3, h=h)  # each [B, h, N, d]
print(list(z.shape), "->", list(qkv(z).shape), "-> q, k, v", list(q.shape))

# %% [markdown]
# `(three h d)` reads from the left: first Q, K or V, then the head, then the number in the head. So each head does have
# its own W_Q, W_K and W_V. They are just blocks of rows of the big matrix. (`nn.Linear` stores its matrix transposed,
# [3·D, D]: each *row* makes one number.) We cut them out, and use them one by one:

# %%
W_q, W_k, W_v = rearrange(qkv.weight, "(three h d) D -> three h D d", three=3, h=h)  # each [h, D, d]
for i in range(h):
    same = [torch.allclose(z @ W[i], fused[:, i]) for W, fused in ((W_q, q), (W_k, k), (W_v, v))]
    print(f"head {i}: own matrices [D, d] = {list(W_q[i].shape)} give the same q, k, v:", all(same))

# %% [markdown]
# ### Put the heads back together
#
# Each head has made d numbers for each token. Lay them side by side, and there are h·d = D again. This is the cut,
# run backwards.

# %%
heads, weights = scaled_dot_product_attention(q, k, v)  # [B, h, N, d], [B, h, N, N]
merged = rearrange(heads, "b h n d -> b n (h d)")  # [B, N, D]
print(list(heads.shape), "->", list(merged.shape))
print("cutting again gives the heads back:", torch.equal(rearrange(merged, "b n (h d) -> b h n d", h=h), heads))

# %% [markdown]
# Now the first d numbers of a token come from head 0 alone, the next d from head 1. The heads have not met yet. One
# last matrix, the **output projection** W_O, mixes them:
#
# $$\text{MSA}(z) = [\,\text{SA}_1(z);\; \dots;\; \text{SA}_h(z)\,]\;U_{msa} \qquad U_{msa} \in \mathbb{R}^{h \cdot d \times D}
# \qquad \text{(appendix A, equation 8)}$$
#
# This is all there is in the course's class: two linear layers, a cut, attention, a merge. Give it our numbers.

# %%
attention = MultiHeadAttention(D, h, qkv_bias=False).double()
attention.qkv.weight.data.copy_(qkv.weight)
by_steps = merged @ attention.proj.weight.T + attention.proj.bias  # [B, N, D] @ [D, D] -> [B, N, D]
print("same as our steps:", torch.allclose(attention(z), by_steps))
print(attention)

# %% [markdown]
# ### The same in PyTorch
#
# PyTorch has `nn.MultiheadAttention`. Its names differ: `in_proj` is our `qkv`, `out_proj` our `proj`. It wants to be
# told that the batch comes first, and it averages the weights of all heads unless you say no. Copy the numbers over:

# %%
ours = MultiHeadAttention(dim=64, num_heads=4).double()
theirs = nn.MultiheadAttention(64, 4, batch_first=True, dtype=torch.float64)
with torch.no_grad():
    ours.qkv.bias.normal_(), ours.proj.bias.normal_()  # they start at 0, and 0 would hide a mistake
    for name, layer in (("in_proj_weight", ours.qkv.weight), ("in_proj_bias", ours.qkv.bias)):
        getattr(theirs, name).copy_(layer)
    theirs.out_proj.load_state_dict(ours.proj.state_dict())

# %%
tokens = torch.randn(2, 50, 64, dtype=torch.float64)  # [B, N, D]
our_output, our_weights = ours(tokens, return_weights=True)
their_output, their_weights = theirs(tokens, tokens, tokens, average_attn_weights=False)
print("output", list(our_output.shape), "weights", list(our_weights.shape))
for name, a, b in (("output", our_output, their_output), ("weights", our_weights, their_weights)):
    print(f"{name}: largest difference below 0.000000000001: {(a - b).abs().max().item() < 1e-12}")

# %% [markdown]
# Our class has two ways through. Without `return_weights` it calls PyTorch's fused kernel, which never holds the table
# of weights. With it, it takes the explicit way of lesson 4. On a CPU it takes the explicit way for short sequences too,
# because there it is the faster one. 197 tokens are enough to see both ways. They must say the same:

# %%
tokens = torch.randn(2, 197, 64, dtype=torch.float64)  # [B, N, D]
fused, explicit = ours(tokens), ours(tokens, return_weights=True)[0]
print(f"fused and explicit differ by less than 0.000000000001: {(fused - explicit).abs().max().item() < 1e-12}")

# %% [markdown]
# ## The heads of a trained model
#
# Here is the last layer of the course's small ViT, on a picture of the test set. It has never seen this picture in
# training. Bright patches get much of the class token's attention. Each panel is one head: same token, same layer,
# another question.

# %%
model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
image = data.test_images[[2]]  # [1, 1, 28, 28]
maps = attention_maps(model, model.card.normalize(image))  # one [1, h, N+1, N+1] for each layer
print("heads in each layer:", model.config.num_heads)

# %%
last = maps[-1][0, :, 0, 1:]  # [h, N]: every head, asked by the class token (0), about the patches (1, 2, ...)
figure, axes = plots.new_figure(1, len(last) + 1, size=(11, 2.8))
plots.draw_image(axes[0, 0], image[0], data.class_names[data.test_labels[2]])
for i, row in enumerate(last):
    plots.draw_attention(axes[0, i + 1], image[0], row.reshape(model.grid_size), f"head {i}")
plots.show(
    figure,
    alt="A picture of the test set, and where each head of the last layer looks in it: some light up the object, others its outline or the background.",
)

# %% [markdown]
# Now all layers and all heads. **Look for three things.**
#
# 1. Stay on one patch and one layer, and change the head. Does the patch look elsewhere?
# 2. Find a head that looks at the object, and one that looks at the background.
# 3. Choose "mean of all heads". What is lost?

# %%
probabilities = model(model.card.normalize(image)).softmax(dim=-1)[0]
AttentionLab(
    image[0], maps, model.grid_size, class_names=model.card.class_names, prediction=probabilities, layer=0, head=0
)

# %% [markdown]
# ## Claims, tested
#
# **"Each head looks at something else."** Measure it. Two heads give two rows of weights, each summing to 1. Their
# *overlap* is the sum of the smaller of the two, number by number: 1 if both look alike, 0 if they have nothing in
# common. We take the mean over all pairs of heads, all layers and 100 test pictures. An untrained model is the control.


# %%
def mean_overlap(model, images):
    def overlap(weights, a, b):  # weights [B, h, N, N], heads a and b
        return torch.minimum(weights[:, a], weights[:, b]).sum(-1).mean()

    layers, heads = attention_maps(model, images), range(model.config.num_heads)
    return torch.stack([overlap(w, a, b) for w in layers for a in heads for b in range(a)]).mean().item()


torch.manual_seed(0)
images = model.card.normalize(data.test_images[:100])
trained, untrained = mean_overlap(model, images), mean_overlap(ViT(model.config), images)
print(f"overlap of two heads: untrained {untrained:.1f}, trained {trained:.1f} (1 would be the same)")
print(
    "verdict:",
    "TRUE in this model, and it is training that" if trained < untrained else "FALSE in this model: nothing",
    "draws them apart",
)

# %% [markdown]
# Nobody told the heads what to look for. They start from different random numbers, and gradient descent does the rest.
#
# **"Each head has its own W_Q, W_K and W_V, so more heads mean more parameters."** The first half is true, as you have
# seen. Count for the second half. And since each head has only d = D/h numbers to ask with, see how rich its table of
# scores QKᵀ can be: its *rank* is the number of independent rows.

# %%
tokens = torch.randn(1, 50, 768, dtype=torch.float64)  # 50 tokens
print(f"{'heads h':>8}{'d = D/h':>9}{'parameters':>12}{'rank of a table of 50x50 scores':>33}")
for heads in (1, 3, 12, 48, 192, 768):
    layer = MultiHeadAttention(768, heads).double()
    q, k, _ = rearrange(layer.qkv(tokens), "b n (three h d) -> three b h n d", three=3, h=heads)
    rank = torch.linalg.matrix_rank(q[0, 0] @ k[0, 0].T).item()
    print(f"{heads:>8}{768 // heads:>9}{count_parameters(layer):>12,}{rank:>33}")
print("verdict: FALSE - the same numbers are shared out among the heads")

# %% [markdown]
# More heads are not free, though. More questions, but each with fewer numbers. And the explicit way holds h tables of
# N×N weights. ViT-B, L and H take d = 64, 64 and 80 (D/h from table 1 of the paper).
#
# **"The value matrix can be factored into down and up."** You hear this in explanations of language models. Follow one
# head through W_V and W_O. W_V takes D numbers *down* to d. Its rows of W_O take d numbers *up* to D. And the matrix
# product with all heads side by side is a sum over heads:
#
# $$[\,A_1 z W_{V,1};\; \dots;\; A_h z W_{V,h}\,]\;W_O \;=\; \sum_{i=1}^{h} A_i\, z\, W_{V,i}\, W_{O,i}$$
#
# So W_V,i · W_O,i is *one* matrix from D numbers to D numbers, of rank d at most. Check both statements:

# %%
x = torch.randn(2, 50, 64, dtype=torch.float64)
output, A = ours(x, return_weights=True)  # [B, N, D], [B, h, N, N]
W_v = rearrange(ours.qkv.weight, "(three h d) D -> three h D d", three=3, h=4)[2]  # [h, D, d]  down
W_o = rearrange(ours.proj.weight, "D (h d) -> h d D", h=4)  # [h, d, D]                          up
maps_of_heads = W_v @ W_o  # [h, D, D]
b_v = ours.qkv.bias[128:]  # the last third of the bias belongs to the values
constant = ours.proj(b_v)  # rows of A sum to 1, so the bias of the values passes straight through
total = sum(A[:, i] @ x @ maps_of_heads[i] for i in range(4)) + constant

# %%
print(f"sum over heads equals concat and project: {(total - output).abs().max().item() < 1e-12}")
print("each head's map:", list(maps_of_heads[0].shape), "with ranks", torch.linalg.matrix_rank(maps_of_heads).tolist())
single = MultiHeadAttention(64, 1).double()
full = single.qkv.weight[128:].T @ single.proj.weight.T
print("one single head:", list(full.shape), "with rank", torch.linalg.matrix_rank(full).item())
print("verdict: TRUE - down to d, up to D, one map of rank d for each head")

# %% [markdown]
# So heads do not know of each other. Each *adds* its own finding to the output: four maps of rank 16 share the 64
# dimensions. The same holds in the trained model:

# %%
layer = model.blocks[0].attn
D, h = model.config.dim, model.config.num_heads
W_v = rearrange(layer.qkv.weight, "(three h d) D -> three h D d", three=3, h=h)[2]
W_o = rearrange(layer.proj.weight, "D (h d) -> h d D", h=h)
ranks = torch.linalg.matrix_rank(W_v.double() @ W_o.double()).tolist()
print(f"trained, D = {D}, h = {h}, d = {D // h}: ranks of the first layer's heads", ranks)

# %% [markdown]
# ## Exercise: write `split_heads`
#
# Difficulty 2 of 5, about 8 minutes. Cut [B, N, D] into [B, h, N, d] without `einops`. Replace the three dots, run the
# cell, and read what the check says.
#
# <details><summary>Hint 1</summary>
#
# First split the last axis only: `[B, N, D]` to `[B, N, h, d]`. `reshape` may do that, since nothing has to move.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Then h must come in front of N. `transpose(1, 2)` lets two axes change places.
#
# </details>


# %% tags=["exercise"]
def my_split_heads(x, num_heads):
    B, N, D = x.shape
    ...


check.split_heads(my_split_heads)

# %% [markdown]
# The solution is in the next cell, folded.


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_split_heads(x, num_heads):
    B, N, D = x.shape
    split = x.reshape(B, N, num_heads, D // num_heads)  # [B, N, h, d]: nothing moves
    return split.transpose(1, 2)  # [B, h, N, d]: h in front of N


check.split_heads(my_split_heads)

# %% [markdown]
# ## What to remember
#
# 1. A head is attention on d = D/h numbers of every token. Heads run side by side, each with its own softmax.
# 2. Split D into (h, d), then swap N and h. `view` alone gives the right shape and the wrong numbers.
# 3. One matrix makes all queries, keys and values. Its blocks are the heads' own matrices.
# 4. More heads cost no more parameters. Each of them has fewer numbers to ask with.
# 5. The output is a sum over heads; each adds what a map of rank d can say.
#
# | step | shape |
# |---|---|
# | tokens | [B, N, D] |
# | `qkv` | [B, N, 3·D] |
# | q, k, v in heads | [B, h, N, d] each |
# | weights | [B, h, N, N] |
# | heads' outputs | [B, h, N, d] |
# | merged, and after W_O | [B, N, D] |
#
# **Three questions.**
#
# <details><summary>ViT-L has D = 1024 and h = 16. How many numbers has a query?</summary>1024 / 16 = 64.</details>
# <details><summary>What is √d in the formula: D or D/h under the root?</summary>D/h. It is the length of the query
# that is actually multiplied, so in ViT-B the scores are divided by √64 = 8.</details>
# <details><summary>You swap head 0 and head 1 in W_Q, W_K and W_V. What else must be swapped so that nothing
# changes?</summary>Their rows of W_O. A sum does not mind the order, as long as each head keeps its own way up.</details>
#
# **Next**: all the parts that move information between tokens are there. Lesson 6 adds what works on each token alone,
# and builds the block that can be stacked.
#
# **Read on**: Vaswani et al. 2017, *Attention Is All You Need*, section 3.2.2 · Dosovitskiy et al. 2021, appendix A ·
# the code of this lesson: `vit_tutorial/attention.py`.
