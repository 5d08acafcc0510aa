# %% [markdown]
# # 5 · Multi-head attention: several questions at once
#
# **The question.** In lesson 4 every token asked one question, and had one unit of attention to share out for the
# answer. But a cat's ear has more than one question. Where is the other ear? What is just below me? What colour is the
# fur? If one row of weights must answer all of these, it answers each of them a little. *One token, several
# questions: how can it ask them at once?*
#
# The picture below shows the answer: in layer 3 of the course's small ViT the class token looks at a boot in four ways
# at once, one for each of its four **heads**. (Layers and heads are counted from 0, as in lesson 4.)
#
# **What you will do**
#
# 1. Compute two heads with a pencil and a calculator: three tokens of four numbers each.
# 2. Cut numbers into heads in code, meet a mistake that is easily made, and put the heads back together.
# 3. Load the same numbers into PyTorch's `nn.MultiheadAttention`, and get the same output.
# 4. Switch off single heads of a trained model, and see which of them it can do without.
# 5. Write the layer yourself, train a ViT with it, and find six faults by measuring.
#
# **Time**: 35 minutes, and 65 for the exercises; one of them is an extra. **You need**: lesson 4 (queries, keys,
# values, softmax).

# %%
from copy import deepcopy
from statistics import fmean

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from vit_tutorial import MultiHeadAttention, ViT, ViTConfig, attention_maps, count_parameters, load_model, plots
from vit_tutorial import scaled_dot_product_attention
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.evidence import compare, compare_each, judge
from vit_tutorial.exercises import check
from vit_tutorial.explore import HeadsGallery
from vit_tutorial.introspection import patch_heads

torch.set_num_threads(1)  # one thread: the same numbers each time
torch.set_printoptions(precision=2, sci_mode=False)

# %% jupyter={"source_hidden": true}
model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
image = data.test_images[[0]]  # [1, 1, 28, 28]
maps = attention_maps(model, model.card.normalize(image))  # the tables of weights of every layer
asked = maps[3][0, :, 0, 1:]  # of layer 3: every head, asked by the class token (0), about the 49 patches
figure, axes = plots.new_figure(1, len(asked) + 1, size=(11, 2.8))
plots.draw_image(axes[0, 0], image[0], data.class_names[data.test_labels[0]])
for i, row in enumerate(asked):
    plots.draw_attention(axes[0, i + 1], image[0], row.reshape(model.grid_size), f"head {i}: up to {row.max():.0%}")
plots.show(
    figure,
    alt="A boot of the test set, and where each of four heads looks in it: the brightest patch is another one"
    " each time.",
    caption="Bright patches get much of the class token's attention; each panel has its own brightest colour. "
    "Some heads look at empty patches too. How much each head matters is a question for the claims below.",
)

# %% [markdown]
# ## By hand
#
# Three tokens, D = 4 numbers each: two for the colour, two for the shape.
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
# Token 0, the red ball, has two questions: *who has my colour?* and *who has my shape?* Take a pencil and a calculator.
#
# **One head.** Let queries, keys and values be the tokens themselves, as if W_Q, W_K and W_V of lesson 4 changed nothing.
# The red ball has these scores: with itself 2·2 + 2·2 = 8, with the red box and with the blue ball 2·2 = 4. Divide by
# √D = 2, then softmax:

# %%
output, one_head = scaled_dot_product_attention(Z, Z, Z)  # q, k, v [N, D] -> output [N, D], weights [N, N]
for name, weight in zip(names, one_head[0], strict=True):
    print(f"the red ball looks at the {name:<9} with weight {weight:.2f}")
print("and its output is", [round(number, 2) for number in output[0].tolist()])

# %% [markdown]
# (The weights sum to 1.01 by rounding only.) The box and the other ball get the same weight. One has the same colour,
# the other the same shape, and the row of weights does not say which is which. The two questions got mixed. One head
# could learn to ask for the colour only; but then it could not ask for the shape.
#
# **Two heads.** Cut in two halves of d = D/h = 4/2 = 2 numbers. Head 0 gets the first half, head 1 the second. Each
# head does attention on its own, with its own softmax.
#
# Head 0 sees only colours: [2, 0], [2, 0], [0, 2].
#
# - scores of the red ball: 2·2 = 4, 2·2 = 4, and 0
# - divided by √d = 1.41: 2.83, 2.83, 0
# - exponentials: 16.9, 16.9, 1, which add up to 34.8
# - weights: **0.49, 0.49, 0.03**
# - output, the values in these shares: 0.49·[2, 0] + 0.49·[2, 0] + 0.03·[0, 2] = **[1.94, 0.06]**, up to rounding
#
# Do head 1 yourself. It sees only shapes: [2, 0], [0, 2], [2, 0].

# %%
d = 2
for head in range(2):
    half = Z[:, head * d : (head + 1) * d]  # [N, d]: the numbers of this head, of every token
    output, weights = scaled_dot_product_attention(half, half, half)
    rounded = [[round(number, 2) for number in row] for row in (weights[0].tolist(), output[0].tolist())]
    print(f"head {head}: the red ball looks with weights {rounded[0]}, and the output is {rounded[1]}")

# %% jupyter={"source_hidden": true}
colour, shape = (scaled_dot_product_attention(half, half, half)[1] for half in (Z[:, :2], Z[:, 2:]))
tables = {"one head: who is like me?": one_head, "head 0: my colour?": colour, "head 1: my shape?": shape}
figure, axes = plots.new_figure(1, 3, size=(10, 3.3))
for ax, (title, table) in zip(axes[0], tables.items(), strict=True):
    plots.draw_matrix(ax, table, title, rows=names, columns=names, vmin=0, vmax=1)
plots.show(
    figure,
    alt="Three tables of weights. With one head, the red ball gives box and blue ball equal weight. Head 0 "
    "joins the red ones, head 1 the round ones.",
    caption="Each row is a token that asks; each row sums to 1.",
)

# %% [markdown]
# Lay the two outputs side by side: [1.94, 0.06, 1.94, 0.06]. The first half comes from the two red things, the second
# half from the two round ones. No single row of weights can do both. That is the whole idea: **a head is attention with
# d numbers of its own; multi-head attention runs h of them side by side.**
#
# One thing was too simple: we have cut the tokens themselves. In the words of lesson 4, head 0 had a W_Q of [D, d] that
# only picks the colours, with the rows [1, 0], [0, 1], [0, 0] and [0, 0], and its W_K and W_V were the same. In the
# real layer each head has three different ones, and each reads all D numbers and makes d of them.
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
# we give it [B, h, N, d]. We split D into h groups of d numbers, and put h in front of N. (Here we still cut the
# tokens; in the real layer q, k and v are cut in this way.)

# %%
x = Z[None]  # [B=1, N=3, D=4]
heads = rearrange(x, "b n (h d) -> b h n d", h=2)  # [1, 2, 3, 2]
_, weights = scaled_dot_product_attention(heads, heads, heads)  # [B, h, N, N]
print(list(x.shape), "->", list(heads.shape), "-> weights", list(weights.shape))
print("the same weights as by hand:", torch.equal(weights[0], torch.stack([colour, shape])))

# %% [markdown]
# ### A mistake that is easily made
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

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 3, size=(10, 3), width_ratios=[1.5, 1, 1])
options = {"decimals": 0, "vmin": 0, "vmax": 30}
tables = {"tokens [N, D]": numbered[0], "right: head 0 [N, d]": right[0, 0], "view alone: head 0": wrong[0, 0]}
for ax, (title, table) in zip(axes[0], tables.items(), strict=True):
    rows = [f"token {number // 10}" for number in table[:, 0].tolist()]  # where the numbers of this row come from
    plots.draw_matrix(ax, table, title, rows=rows, **options)
axes[0, 0].axvline(1.5, color="white", linewidth=4)
plots.show(
    figure,
    alt="Left, tokens 0, 1, 2 with four numbers each, cut in the middle. Right, head 0: with the right cut it holds two numbers of each token; with view alone it holds 0 1, 2 3, 10 11, so token 2 is missing.",
)

# %% [markdown]
# `view` moves nothing. It reads the numbers in the order in which they lie in memory: all of token 0, then half of
# token 1. So head 0 got *tokens* dealt out to it, and never sees token 2. There is no error. The shape is right, the
# model runs, and each head sees only 1/h of the tokens.
#
# `view` and `reshape` may *split* an axis: [B, N, D] to [B, N, h, d] is right. To bring h in front of N, two axes
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
# Lay the d numbers of each head side by side, and there are h·d = D again. This is the cut, run backwards.

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
# (MSA: multi-head self-attention. SA: what one head does. The paper counts heads from 1. Here its semicolons mean *side
# by side*.) The d numbers of a head meet d rows of W_O that are its own. So the output is a sum of h parts, one from
# each head. This is all there is in the course's class: two linear layers, a cut, attention, a merge. Give it our
# numbers.

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
# Our class has two ways through. From 64 tokens on, and on a GPU always, it calls PyTorch's own function: often a
# *fused* kernel, one program that goes through the table of weights piece by piece, and never holds all of it. With
# `return_weights` it takes the explicit way of lesson 4. Both must give the same:

# %%
tokens = torch.randn(2, 197, 64, dtype=torch.float64)  # [B, N, D]
fused, explicit = ours(tokens), ours(tokens, return_weights=True)[0]
print(f"fused and explicit differ by less than 0.000000000001: {(fused - explicit).abs().max().item() < 1e-12}")

# %% [markdown]
# ## In pictures you can touch
#
# Here are all heads of the trained model, 6 layers of 4. Choose a layer, and a patch that looks: click the picture,
# then use the arrow keys; or use the mouse. Say what you expect before you look.
#
# 1. The boot, layer 0. Let patch 7 look (row 1, column 0, counted from 0): it is dark. Then let patch 33 look (row 4,
#    column 5): it is on the boot. In which head do both look most at a patch of their own kind? In which head does each
#    look most at the other kind?

# %%
shown = [0, 21, 25]
names_of_pictures = [data.class_names[data.test_labels[i]].lower() for i in shown]
pictures = dict(zip(names_of_pictures, data.test_images[shown], strict=True))
HeadsGallery(model, pictures, labels=data.test_labels[shown])

# %% [markdown]
# Now switch heads off. What does **off** mean? The head still looks; its map stays. But what it has found is not
# passed on: its d numbers are set to zero before W_O. So it adds nothing to the output.
#
# 2. Switch off any one head (`0` to `3`), in any layer. How much does the probability of the boot change?
# 3. Go to the last layer, and switch off all of it (`l`). Then switch everything on (`a`), and do the same with layer 0.
# 4. Now the sandal. Here single heads do matter. Can you find one without which the answer is another?
# 5. The coat is a mistake of the model: it says shirt. *More* (`m`) shows the bars of all classes. Can you switch off
#    two heads so that it says coat? Hint: first find the single head that raises the coat most, then try the others.
#
# <details><summary>What there was to see</summary>
#
# 1. In head 3 both do. In head 1 each looks most at the other kind. In heads 0 and 2 both look most at dark patches.
#    Other patches may do otherwise: the extra below takes the mean over all of them.
# 2. Not much. The one that costs most is layer 0 head 1: the boot falls from 91% to 78%.
# 3. Without the last layer's heads the answer is still a boot. Without those of layer 0 it is a bag.
# 4. There are four: layer 0 head 1, layer 1 head 0, layer 3 head 1 and layer 4 head 2. Without any of them the sandal
#    is a sneaker. Layer 1 head 0 is by far the strongest: the sandal falls from 63% to 18%. And yet, without *all* of
#    layer 1 the sandal is surer than before, with 83%. What a head is worth depends on which others are there.
# 5. Layer 0 head 1 raises the coat most, from 12% to 28%. Together with layer 1 head 0, layer 2 head 1 or layer 5 head
#    1 it makes the coat win.
#
# </details>

# %% tags=["extra"]
on_boot = image.float().unfold(2, 4, 4).unfold(3, 4, 4).mean(dim=(4, 5)).flatten() > 10  # [49]: the patches of the boot
looks = maps[0][0, :, 1:, 1:]  # [h, 49, 49]: layer 0, what patches give to patches
own = torch.where(on_boot[:, None] == on_boot, looks, 0).sum(dim=-1)  # [h, 49]: what each gives to its own kind
dark, boot = own[:, ~on_boot].mean(dim=1), own[:, on_boot].mean(dim=1)
shares = {"dark patch 7": own[:, 7], "boot patch 33": own[:, 33], "mean of all dark": dark, "mean of all boot": boot}
print("weight given to the own kind by:  " + "  ".join(f"head {i}" for i in range(len(own))))
for name, row in shares.items():
    print(f"{name:<31}" + "".join(f"{share:>8.0%}" for share in row.tolist()))

# %% [markdown] tags=["extra"]
# *Extra.* So on average over all patches it is head 3 again, less clearly: it alone sends more than half of dark to
# dark *and* of boot to boot.

# %% [markdown]
# ## Claims, tested
#
# ### "Every head is needed"
#
# Michel, Levy and Neubig (2019) asked *Are Sixteen Heads Really Better than One?*, and switched off heads of a trained
# translation model and of BERT. Most of them could go *one at a time* at little loss, a large share of them even
# together, and some layers could be reduced to one head. Is it so here?
#
# Here we set to zero what a head's numbers meet in W_O: d rows, or d columns as `nn.Linear` stores it. (A folded cell
# checks that the gallery's *off* does the same.)


# %%
def without(heads):
    """The model, with these heads (layer, head) switched off."""
    copy, d = deepcopy(model), model.config.dim // model.config.num_heads
    for layer, head in heads:
        copy.blocks[layer].attn.proj.weight.data[:, head * d : (head + 1) * d] = 0
    return copy


# %% tags=["extra"]
gallery = HeadsGallery(model, pictures["sandal"], off=[(0, 1)])
with torch.no_grad():
    probabilities = without([(0, 1)])(model.card.normalize(pictures["sandal"][None])).softmax(dim=-1)[0]
print(
    "same probabilities:", torch.allclose(probabilities, torch.tensor(gallery.state().probabilities).float(), atol=1e-4)
)

# %% [markdown]
# Now switch off each of the 24 heads alone, and look at 500 test pictures. We note how many points of accuracy are
# lost, and how much the loss grows: it also sees when the model is less sure of a right answer.


# %% jupyter={"source_hidden": true}
def score(logits, labels):
    return 100 * (logits.argmax(dim=1) == labels).float().mean().item(), F.cross_entropy(logits, labels).item()


@torch.no_grad()
def run(model, pictures):  # [B, C, H, W] -> logits [B, K]
    return torch.cat([model(part) for part in pictures.split(50)])


@torch.no_grad()
def run_without_each(pictures):
    """The logits without each head alone. The layers before its own do not change, so they run once, not for each head."""
    tokens, logits = model.forward_intermediates(pictures)["position"], {}  # what comes to layer 0
    for layer, block in enumerate(model.blocks):
        for head in range(model.config.num_heads):
            rest = without([(layer, head)])
            last = torch.cat([rest.blocks[layer:](part) for part in tokens.split(50)])
            logits[layer, head] = rest.classify(rest.norm(last))
        tokens = block(tokens)
    return logits


normalized, labels = model.card.normalize(data.test_images), data.test_labels
all_heads = [(layer, head) for layer in range(6) for head in range(4)]
accuracy, loss = score(run(model, normalized[:500]), labels[:500])
alone = {head: score(logits, labels[:500]) for head, logits in run_without_each(normalized[:500]).items()}
lost = torch.tensor([accuracy - alone[head][0] for head in all_heads]).reshape(6, 4)
grown = torch.tensor([alone[head][1] - loss for head in all_heads]).reshape(6, 4)

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 2, size=(10, 3.6))
rows, columns = [f"layer {i}" for i in range(6)], [f"head {i}" for i in range(4)]
options = {"rows": rows, "columns": columns, "cmap": "RdBu_r", "aspect": "auto"}
plots.draw_matrix(axes[0, 0], lost, "points of accuracy lost without it", decimals=1, vmin=-5, vmax=5, **options)
plots.draw_matrix(axes[0, 1], grown, "growth of the loss without it", vmin=-0.1, vmax=0.1, **options)
plots.show(
    figure,
    alt="Two tables of 6 layers by 4 heads. By the loss, on the right, the heads of layers 0 and 1 cost most. By the accuracy, on the left, head 2 of layer 0 and head 2 of layer 1 cost about three points, and most others about one point or less.",
    caption="Red: worse without this head. Blue: better without it. One picture of 500 is 0.2 points; differences below about 1 point are noise.",
)

# %% [markdown]
# No single head is worth more than about 3 points. So is attention not needed? Take eight at a time. We order the heads
# by the growth of the loss, and switch off the 8 *least* important together, then the 8 *most* important. As a control,
# 8 *random* heads, drawn 25 times. The order was found on the first 500 pictures, so we test on the next 500.
#
# What would the eight cost if heads did not depend on each other? *Not* what each costs alone, added up. A right answer
# has a margin: one head less, and it stays right; eight less, and the margin is used up. So points do not add, even
# where heads are independent. **Logits would.** We add up how each head of the group changes the logits alone, and
# count the right answers then.

# %%
whole, each = run(model, normalized[500:1000]), run_without_each(normalized[500:1000])
full_accuracy = score(whole, labels[500:1000])[0]


def lost_with(logits):
    return full_accuracy - score(logits, labels[500:1000])[0]


def cost(heads, each=each, together=None):
    """Points lost without these heads: one by one, added up; if their changes of the logits added up; all together."""
    independent = whole + sum(each[head] - whole for head in heads)
    together = run(without(heads), normalized[500:1000]) if together is None else together
    return sum(lost_with(each[head]) for head in heads), lost_with(independent), lost_with(together)


# %% jupyter={"source_hidden": true}
order = sorted(all_heads, key=lambda head: alone[head][1])  # by the loss without it
torch.manual_seed(0)
eights = [[all_heads[i] for i in torch.randperm(24)[:8]] for _ in range(25)]
random_eights = [cost(eight) for eight in eights]
middle = sorted(random_eights, key=lambda costs: costs[-1])[len(eights) // 2]  # the median of those together
costs = {
    "the 8 least important": cost(order[:8]),
    "8 at random, median of 25": middle,
    "the 8 most important": cost(order[-8:]),
}
print(f"{'points lost without':<26}{'points add':>12}{'logits add':>12}{'together':>12}")
for group, lost_points in (costs | {"all 24": cost(all_heads)}).items():
    print(f"{group:<26}" + "".join(f"{points:>12.1f}" for points in lost_points))
print("the 8 most important, as layer.head:", ", ".join(f"{layer}.{head}" for layer, head in sorted(order[-8:])))

# %%
_, independent, together = ([points / 100 for points in lost] for lost in zip(*random_eights, strict=True))
claim = "eight heads, drawn at random, cost more together than if their logits added up, in the mean"
print(compare(together, independent, claim, names=("together", "logits add"), of="draws", unit="points"))

# %% [markdown]
# Together they cost more than their changes of the logits add up to. Do heads stand in for each other? Or is it the
# many zeros, which the layers behind have never met? We ask again, with each head's *mean* over these pictures in place
# of its numbers, token by token.

# %%
tested = normalized[500:1000]
each_mean = {head: patch_heads(model, tested, [head], "mean") for head in plots.watched(all_heads, "head")}
with_means = [
    cost(eight, each_mean, patch_heads(model, tested, eight, "mean")) for eight in plots.watched(eights, "draw")
]
_, independent_mean, together_mean = zip(*with_means, strict=True)
pairs = {
    "a mean in its place": ([points / 100 for points in together_mean], [points / 100 for points in independent_mean]),
    "zeros": (together, independent),
}
print(compare_each(pairs, claim, holds="if", of="draws", unit="points"))

# %% [markdown]
# It is not the zeros alone: with means the surplus is still there. That is what one sees if heads stand in for each
# other; these numbers do not prove it.
#
# We call heads *needed* if more than 5 points are lost without them. For eight at random the interval is over the 25
# draws. For the two groups that the first 500 pictures have chosen it is over the 1,500 others, picture by picture.


# %% tags=["claim-every-head"]
def answers(model):  # 1 for each picture that is right
    return (run(model, normalized[500:]).argmax(dim=1) == labels[500:]).float().tolist()


at_random = [full_accuracy / 100 - points for points in together]
names = ("all 24 heads", "8 fewer, at random")
all_heads_on = [full_accuracy / 100] * len(at_random)
claim = "without eight heads, drawn at random, the model loses more than 5 points in the mean"
print(compare(all_heads_on, at_random, claim, names=names, at_least=0.05, of="draws", unit="points"))

groups = {"the least important eight go": order[:8], "the most important goes": order[-1:]}
full = answers(model)
needed = {name: (full, answers(without(heads))) for name, heads in groups.items()}
claim = "without these heads the model loses more than 5 points"
print(compare_each(needed, claim, holds="if", at_least=0.05, of="pictures", unit="points"))

# %% [markdown]
# The line with FALSE is the answer: not even the most important head is needed in this sense. That each alone can go
# does not mean that all can. Among the eight most important are all four of layer 0, where the patches first meet. And
# *not needed by the trained model* is not *not needed for training*: more heads or fewer are trained below.
#
# ### "Each head looks at something else"
#
# Two heads give two rows of weights, each summing to 1. Their *overlap* is the sum of the smaller of the two, number by
# number: 1 if both look alike, 0 if they have nothing in common. We take the mean over 100 test pictures, for each pair
# of heads of a layer, of the trained model and of an untrained one.
#
# A small overlap alone proves little. Two rows that are *sharp*, with most weight on few tokens, overlap little even if
# they have nothing to do with each other. So we need a second control: shuffle the columns of one map of each pair,
# five times. That leaves two unrelated maps, exactly as sharp.


# %% tags=["claim-heads-differ"]
def overlaps(layers, columns=slice(None)):  # layers of weights [B, h, N, N] -> [pairs of heads, B]
    def overlap(weights, a, b):
        return torch.minimum(weights[:, a], weights[:, b][..., columns]).sum(-1).mean(-1)

    return torch.stack([overlap(w, a, b) for w in layers for a in range(w.shape[1]) for b in range(a)])


torch.manual_seed(0)
images, untrained = normalized[:100], ViT(model.config)
shuffles, by_picture = [torch.randperm(50) for _ in range(5)], {}
for name, one in (("untrained", untrained), ("trained", model)):
    layers = attention_maps(one, images)
    sharp = torch.stack(layers).amax(-1).mean()  # the largest weight of each row
    pairs, unrelated = overlaps(layers), torch.stack([overlaps(layers, columns) for columns in shuffles]).mean(dim=0)
    by_picture[name] = unrelated.mean(dim=0).tolist(), pairs.mean(dim=0).tolist()
    means = f"overlap {pairs.mean():.1f}   one head shuffled {unrelated.mean():.1f}"
    print(f"{name:<10} {means}   largest weight of a row {sharp:.0%}")
claim = "two heads overlap, in the mean, no more than two unrelated maps that are as sharp, to 0.05"
print(compare_each(by_picture, claim, at_least=-0.05, of="pictures"))
names = ("one head shuffled", "as they are")
claim = "training draws them further apart than unrelated maps, by more than 0.05"
print(compare(*by_picture["trained"], claim, at_least=0.05, names=names, of="pictures"))
gaps = (pairs - unrelated).mean(dim=1).sort().values  # of the trained model, which came last
print(f"its {len(gaps)} pairs, each minus the same with one head shuffled: {gaps[0]:+.2f} to {gaps[-1]:+.2f}")

# %% [markdown]
# Training makes each head sharper, and so they overlap less. But unrelated maps that are as sharp overlap as little: in
# the mean the heads are not drawn further apart than that. The heads start from different random numbers, and so they
# differ from the first step.

# %% [markdown] tags=["extra"]
# ### "The value matrix can be factored into down and up"
#
# *Extra.* Follow one head through W_V and W_O. W_V takes D numbers *down* to d. Its rows of W_O take d numbers *up* to
# D. And the matrix product with all heads side by side is a sum over heads:
#
# $$[\,A_1 z W_{V,1};\; \dots;\; A_h z W_{V,h}\,]\;W_O \;=\; \sum_{i=1}^{h} A_i\, z\, W_{V,i}\, W_{O,i}$$
#
# (Without biases; the code adds them as one constant row.) So W_V,i · W_O,i is *one* matrix from D numbers to D
# numbers. Its *rank*, the number of independent rows, is d at most: all that it says has gone through d numbers. Check
# both:

# %% tags=["extra"]
x = torch.randn(2, 50, 64, dtype=torch.float64)
output, A = ours(x, return_weights=True)  # [B, N, D], [B, h, N, N]
W_v = rearrange(ours.qkv.weight, "(three h d) D -> three h D d", three=3, h=4)[2]  # [h, D, d]  down
W_o = rearrange(ours.proj.weight, "D (h d) -> h d D", h=4)  # [h, d, D]                          up
maps_of_heads = W_v @ W_o  # [h, D, D]
b_v = ours.qkv.bias[128:]  # the last third of the bias belongs to the values
constant = ours.proj(b_v)  # rows of A sum to 1, so the bias of the values passes straight through
total = sum(A[:, i] @ x @ maps_of_heads[i] for i in range(4)) + constant
equal = (total - output).abs().max().item() < 1e-12
print("sum over heads equals concat and project:", equal)
print("each head's map:", list(maps_of_heads[0].shape), "ranks", torch.linalg.matrix_rank(maps_of_heads).tolist())

# %% [markdown] tags=["extra"]
# So heads do not know of each other: each *adds* its own finding to the output. And what is gained by the two factors?
# One could give each head its full map of D×D numbers. Count both ways for the D of ViT-B:

# %% tags=["extra", "claim-A5"]
dim, cheaper = 768, {}
for number in (1, 2, 3, 12):
    full_maps, factors = number * dim * dim, number * (dim * (dim // number) + (dim // number) * dim)
    cheaper[f"h = {number}"] = equal and factors < full_maps
    print(
        f"h = {number:<3} full maps {full_maps:>10,}   down and up {factors:>10,}   {factors / full_maps:.2f} of the numbers"
    )
print(judge(cheaper, "down and up give each head's map, in fewer numbers", holds="if"))

# %% [markdown] tags=["extra"]
# ### "In GPT-3 the values of a head have 3.15 million numbers instead of 151 million"
#
# *Extra*, for a pencil. GPT-3 has D = 12,288 and 96 heads of d = 128 (Brown et al. 2020, table 2.1). Lesson 4 has
# counted W_Q.

# %% tags=["extra", "claim-A13"]
D, d = 12_288, 128
millions = {"a full value map [D, D]": (D * D, 151), "down [D, d] and up [d, D]": (D * d + d * D, 3.15)}
for name, (numbers, said) in millions.items():
    print(f"{name:<27}{numbers:>12,}   said: {said} million")
as_said = {name: abs(numbers / (said * 1e6) - 1) < 0.002 for name, (numbers, said) in millions.items()}
print(judge(as_said, "the counts are as said, to 2 in 1,000"))
print("down and up are as many as W_Q and W_K of that head:", D * d + d * D == D * d + D * d)

# %% [markdown]
# ### "Each head has its own W_Q, W_K and W_V, so more heads mean more parameters"
#
# The first half is true. Count for the second:

# %% tags=["claim-A6"]
sizes = {number: count_parameters(MultiHeadAttention(768, number)) for number in (1, 3, 12, 48)}
print("heads and parameters:", sizes)
print(judge(len(set(sizes.values())) > 1, "the number of parameters changes with the number of heads"))

# %% [markdown] tags=["extra"]
# *Extra.* Each head has only d = D/h numbers to ask with. It shows in the rank of its table of scores QKᵀ, here for 197
# tokens. (No table can have a rank above its N rows.)

# %% tags=["extra"]
tokens = torch.randn(1, 197, 768, dtype=torch.float64)
print(f"{'heads h':>8}{'d = D/h':>9}{'rank of a table of 197x197 scores':>35}")
for number in (1, 3, 12, 48, 192, 768):
    layer = MultiHeadAttention(768, number).double()
    q, k, _ = rearrange(layer.qkv(tokens), "b n (three h d) -> three b h n d", three=3, h=number)
    print(f"{number:>8}{768 // number:>9}{torch.linalg.matrix_rank(q[0, 0] @ k[0, 0].T).item():>35}")

# %% [markdown]
# More questions, then, but each with fewer numbers, d = D/h.
#
# ViT-B, L and H take d = 64, 64 and 80 (D/h from table 1 of the paper). Which is better, few wide heads or many narrow
# ones? The course keeps a record: the same small ViT, of 2 layers and 17 tokens with D = 32, trained with 1, 2, 4, 8
# and 16 heads, five seeds each, each at the best of four learning rates. With 16 heads, each has d = 2.

# %% jupyter={"source_hidden": true}
from vit_tutorial.studies import load_study

study = load_study("heads")
accuracies = study.accuracies()
means = {name: fmean(values) for name, values in accuracies.items()}
print(f"{study.settings['training']['epochs']} epochs of {study.data['training']:,} images, seeds {study.seeds}")
print("made by:", study.command)
figure, axes = plots.new_figure(size=(9, 2.6))
plots.draw_spread(axes[0, 0], accuracies, xlabel="test accuracy, one point a seed")
plots.show(figure, alt="Test accuracy of five seeds with 1, 2, 4, 8 and 16 heads; all runs with one head are lowest.")

# %%
for name, values in accuracies.items():
    print(f"{name:<7} mean {means[name]:.1%}   lowest {min(values):.1%}   highest {max(values):.1%}")
single = study.scores("h = 1")
pairs = {name: (study.scores(name), single) for name in accuracies if name != "h = 1"}
print(compare_each(pairs, "several heads are better than one"))

# %%
best = max(means, key=means.get)
top = study.scores(best)
pairs = {f"{best} against {name}": (top, study.scores(name)) for name in means if name not in (best, "h = 1")}
print(compare_each(pairs, f"{best} is better than 2, 4 or 8 heads"))

# %% [markdown]
# That is one small model. It says that several questions help, and not that d = 2 is the right size for ViT-B.

# %% [markdown]
# ## Tidy up before the exercises
#
# We delete the short names that the cells above have left, so that a letter that you forget to define in your answer is
# an error, and not an old number. To run an earlier cell again, run the lesson from the top.

# %% jupyter={"source_hidden": true}
used = """
A a accuracies accuracy all_heads all_heads_on alone answers as_said asked at_random attention ax axes B b b_v best
boot by_picture by_steps cheaper claim colour columns constant cost costs D d dark dim each each_mean eights equal
explicit factors figure full full_accuracy full_maps fused gallery gaps group groups grown h half head heads i image
images independent independent_mean k labels layer layers looks loss lost lost_points lost_with maps maps_of_heads
means merged middle millions N name names names_of_pictures needed number numbered numbers on_boot one one_head
options order our_output our_weights ours output overlaps own pairs pictures probabilities q qkv random_eights right
rounded row rows run_without_each said same shape shares sharp shown shuffles single sizes study table tables tested
their_output their_weights theirs title together together_mean tokens top total unrelated untrained v values W_k W_o
W_q W_v weight weights whole with_means without wrong x Z z
"""
for gone in used.split():
    globals().pop(gone, None)  # no error if it is gone already, so that this cell may run twice

# %% [markdown]
# ## Exercise: count
#
# Difficulty 1 of 5, about 5 minutes. Importance 2 of 3. A layer of D = `dim` numbers and `num_heads` heads, with
# biases. Return three: d (how many numbers a query of one head has), the divisor of its scores as a real number, and
# the count of the layer's parameters.
#
# <details><summary>Hint 1</summary>
#
# A score is a sum of as many products as a query has numbers. The root of *that* number is the divisor.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Two linear layers: `qkv` from D to 3·D, and `proj` from D to D. A linear layer from a to b numbers has a·b weights and
# b biases.
#
# </details>


# %% tags=["exercise"]
def my_head_numbers(dim, num_heads): ...  # return d, divisor, parameters


check.head_numbers(my_head_numbers)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_head_numbers(dim, num_heads):
    length = dim // num_heads
    return length, length**0.5, (dim * 3 * dim + 3 * dim) + (dim * dim + dim)


check.head_numbers(my_head_numbers)

# %% [markdown]
# ## Exercise: cut into heads
#
# Difficulty 2 of 5, about 8 minutes. Importance 3 of 3. Cut [B, N, D] into [B, h, N, d]. Try it without `einops`, and
# without scrolling up. `num_heads` divides D.
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
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_split_heads(x, num_heads):
    B, N, D = x.shape
    split = x.reshape(B, N, num_heads, D // num_heads)  # [B, N, h, d]: nothing moves
    return split.transpose(1, 2)  # [B, h, N, d]: h in front of N


check.split_heads(my_split_heads)

# %% [markdown]
# ## Exercise: put the heads together
#
# Difficulty 2 of 5, about 6 minutes. Importance 3 of 3. The way back: [B, h, N, d] to [B, N, D]. Try it without
# `einops` again. There are many wrong orders with the right shape.
#
# <details><summary>Hint 1</summary>
#
# The two steps of the cut, in the other order: first bring N in front of h again.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `transpose` moves nothing in memory, it only reads in another order. So numbers that `view` should join do not lie
# side by side, and it refuses. `reshape` copies them first.
#
# </details>


# %% tags=["exercise"]
def my_merge_heads(heads):
    B, h, N, d = heads.shape
    ...


check.merge_heads(my_merge_heads)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_merge_heads(heads):
    B, h, N, d = heads.shape
    return heads.transpose(1, 2).reshape(B, N, h * d)


check.merge_heads(my_merge_heads)

# %% [markdown]
# ## Exercise: one head's own map (an extra)
#
# Difficulty 3 of 5, about 12 minutes. Importance 1 of 3. It builds on the extra about "down and up". Here are two
# matrices as `nn.Linear` keeps them: `qkv_weight` [3·D, D] and `proj_weight` [D, D]. Return the map W_V,i · W_O,i of
# one head [D, D], to be used as `z @ map`. Heads count from 0, and there are no biases.
#
# <details><summary>Hint 1</summary>
#
# The values are the last D rows of `qkv_weight`. Of these, a head has d neighbouring ones. They are W_V,i transposed.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `proj_weight` is stored [output, input]. The head's d numbers are part of its input, so they meet d *columns* of it.
#
# </details>


# %% tags=["exercise"]
def my_head_map(qkv_weight, proj_weight, num_heads, head): ...  # [3D, D], [D, D] -> [D, D]


check.head_map(my_head_map)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_head_map(qkv_weight, proj_weight, num_heads, head):
    D = len(proj_weight)
    d = D // num_heads
    own = slice(head * d, (head + 1) * d)
    down = qkv_weight[2 * D :][own].T  # [D, d]
    up = proj_weight[:, own].T  # [d, D]
    return down @ up


check.head_map(my_head_map)

# %% [markdown]
# ## Exercise: the layer from scratch, in a real ViT
#
# Difficulty 4 of 5, about 20 minutes. Importance 3 of 3. Write the whole layer: [B, N, D] to [B, N, D], without
# `nn.MultiheadAttention`. It is built as `MyAttention(dim, num_heads)`. Its two linear layers are called `qkv` and
# `proj`, and both have biases: with these names saved weights find their places. Your answers from above may be used.
#
# <details><summary>Hint 1</summary>
#
# Six steps: `qkv`, cut into q, k and v, cut each into heads, attention, merge, `proj`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `self.qkv(x).chunk(3, dim=-1)` gives q, k and v, [B, N, D] each, as the order in `qkv` is Q, K, V.
# `scaled_dot_product_attention(q, k, v)` of lesson 4 takes all heads at once. (It returns output and weights: take
# `[0]`.)
#
# </details>


# %% tags=["exercise"]
class MyAttention(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        ...  # self.qkv, self.proj

    def forward(self, x):
        # [B, N, D] -> [B, N, D]
        ...


check.multi_head_attention(MyAttention)

# %% [markdown]
# Now put it in a real ViT. First the trained one: with your layer and the same numbers it must give the same answers.
# Then a new one is trained for 60 steps; the loss starts near ln 10 = 2.3.


# %%
def short_training(attention, steps=60):
    torch.manual_seed(0)
    vit = ViT(ViTConfig(28, 7, in_channels=1, num_classes=10, dim=32, depth=2, num_heads=2), attention=attention)
    pictures, labels = data.normalize(data.train_images[:1500]), data.train_labels[:1500]
    optimizer, losses = torch.optim.AdamW(vit.parameters(), lr=0.003), []
    for _ in range(steps):
        batch = torch.randint(len(pictures), (32,))
        loss = F.cross_entropy(vit(pictures[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return fmean(losses[-10:])


# %%
if check.multi_head_attention(MyAttention).passed:
    vit = ViT(model.config, attention=MyAttention).eval()
    vit.load_state_dict(model.state_dict())
    few = normalized[:50]
    with torch.no_grad():
        print("the trained model with your layer: same logits:", torch.allclose(vit(few), model(few), atol=1e-4))
    print("a new ViT with your layer: the loss has fallen below 1.8:", short_training(MyAttention) < 1.8)
else:
    print("MyAttention does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
class MyAttention(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        B, N, D = x.shape
        qkv = self.qkv(x).reshape(B, N, 3, self.num_heads, D // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [B, h, N, d]
        heads = scaled_dot_product_attention(q, k, v)[0]  # [B, h, N, d]
        return self.proj(heads.transpose(1, 2).reshape(B, N, D))


check.multi_head_attention(MyAttention)

# %% [markdown]
# ## The bug clinic: a ward of six
#
# Six colleagues wrote this layer. All six run without an error, and each has one of the faults below, no two the same.
# Find them *without* reading their code, as a doctor who measures.
#
# | word | fault |
# |---|---|
# | `divisor` | the scores are divided by √D, not √d |
# | `softmax` | the softmax runs over the queries, not the keys |
# | `view` | cut into heads by `view` alone |
# | `merge` | the heads are merged in the wrong order |
# | `order` | the first third of `qkv` is taken for the keys, the second for the queries |
# | `dropout` | dropout (sets some numbers to zero at random, meant for training only) that goes on in `eval()` |
#
# Before you measure: which of these would a wrong shape betray? Which would keep a model from learning? (Answer in
# *What the ward teaches*, below.)
#
# First we examine each patient alone, and a healthy layer beside them. All get the trained numbers of the first block,
# and the tokens of one picture.
#
# - **twice**: does the same question get the same answer?
# - **rows**: do the rows of the maps sum to 1?
# - **as healthy**: are its maps those of the healthy layer?
# - **entropy** of the maps, as in lesson 4: large if the rows are flat.
# - **notice**: we change token 40. How many of the four heads notice, and change their map?


# %% jupyter={"source_hidden": true}
from vit_tutorial.exercises.lesson_05_multi_head_attention import PATIENTS

layers = {"healthy": MultiHeadAttention, **PATIENTS}


@torch.no_grad()
def examine(layer, healthy):
    torch.manual_seed(0)
    some = model.blocks[0].norm1(model.position(model.class_token(model.patch_embed(normalized[:1]))))  # [1, 50, 64]
    layer.load_state_dict(healthy.state_dict())
    out, maps = layer.eval()(some, return_weights=True)  # maps [1, 4, 50, 50]
    changed = some.clone()
    changed[0, 40] += 1
    new_maps = layer(changed, return_weights=True)[1]
    same = torch.allclose(maps, healthy(some, return_weights=True)[1], atol=1e-6)
    rows = torch.allclose(maps.sum(dim=-1), torch.ones(1))
    entropy = -(maps * maps.log()).sum(dim=-1).mean().item()
    notice = sum(not torch.equal(old, new) for old, new in zip(maps[0], new_maps[0], strict=True))
    return out.shape == some.shape, torch.equal(layer(some), layer(some)), rows, same, f"{entropy:.1f}", notice


# %% [markdown]
# Then in a whole model. **answers**: with the weights of the trained ViT, are the answers right? **trained so**: the
# loss after 60 steps of training from the start, with the fault; guessing is at 2.3. As a control, a layer that passes
# on nothing: it must not learn.


# %% jupyter={"source_hidden": true}
def in_a_model(attention):
    torch.manual_seed(0)
    vit = ViT(model.config, attention=attention).eval()
    vit.load_state_dict(model.state_dict())
    F.cross_entropy(vit(normalized[:20]), data.test_labels[:20]).backward()
    gradients = all(parameter.grad is not None and parameter.grad.any() for parameter in vit.parameters())
    return gradients, score(run(vit, normalized[:200]), data.test_labels[:200])[0]


def trained_so(attention):
    loss = short_training(attention)
    return next((f"below {edge}" for edge in (1.15, 1.7) if loss < edge), f"{loss:.1f}")


class PassesNothing(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()

    def forward(self, x):
        return torch.zeros_like(x)


# %%
titles = ("", "twice", "rows", "as healthy", "entropy", "notice")
print("".join(f"{title:>11}" for title in titles), f"{'answers':>20}{'trained so':>13}")
usual, healthy = [], in_a_model(MultiHeadAttention)[1]
for name, layer in layers.items():
    shape, *findings = examine(layer(64, 4), model.blocks[0].attn)
    gradients, points = in_a_model(layer)
    usual += [shape, gradients]
    answers = "near guessing" if points < 30 else "healthy, or nearly" if points > healthy - 8 else "worse"
    print("".join(f"{finding!s:>11}" for finding in (name, *findings)), f"{answers:>20}{trained_so(layer):>13}")
print(f"{'control':>11}{trained_so(PassesNothing):>89}")
print("all keep the shape, and all give every weight a gradient:", all(usual))

# %% [markdown]
# ## Exercise: find the six faults
#
# Difficulty 3 of 5, about 15 minutes. Importance 2 of 3. Put one word of the list, in quotes, in place of the dots of
# each patient.
#
# <details><summary>Hint 1</summary>
#
# Begin with those whose row has something that no other has: who does not say the same twice? Whose rows do not sum to
# 1? Who has a head that does not notice?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Three are left. One has the maps of the healthy layer: its fault lies behind the maps. One has flat maps: its scores
# are too small. The maps of the last are as sharp as the healthy ones, and yet are not the same.
#
# </details>


# %% tags=["exercise"]
def my_diagnosis(patient):
    found = {"A": ..., "B": ..., "C": ..., "D": ..., "E": ..., "F": ...}
    return found[patient]


check.attention_ward(my_diagnosis)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_diagnosis(patient):
    found = {"A": "merge", "B": "softmax", "C": "order", "D": "dropout", "E": "divisor", "F": "view"}
    return found[patient]


check.attention_ward(my_diagnosis)

# %% [markdown]
# <details><summary>What the ward teaches</summary>
#
# The instruments that people use first, shape, gradients and a falling loss, found nobody. No fault changes the
# shape, and none keeps the model from learning, though the control shows that the test could have found one: training
# arranges itself with a fault. Patient F even ends with a smaller loss than the healthy one, in this one training of
# 60 steps. Patient C is not even ill, as long as it is trained that way: queries and keys are only names. It shows
# when the numbers come from elsewhere. So the best instrument is the one you used all along in this lesson: give a
# reference the same numbers, and compare.
#
# </details>

# %% [markdown]
# ## What to remember
#
# 1. A head makes d = D/h numbers for query, key and value out of all D numbers of a token, and does attention with
#    them. Heads run side by side, each with its own softmax.
# 2. Split D into (h, d), then swap N and h. `view` alone gives the right shape and the wrong numbers.
# 3. One matrix makes all queries, keys and values. Its blocks are the heads' own matrices.
# 4. More heads cost no more parameters. Each of them has fewer numbers to ask with.
# 5. Each head adds its own finding to the output. So a head can be switched off. In the trained model here any single
#    head can go for about 3 points at most; eight drawn at random cost more, in the mean.
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
# **Five questions.** Three on this lesson, and two that mix in earlier ones.
#
# <details><summary>ViT-L has D = 1024 and h = 16. How many numbers has a query?</summary>1024 / 16 = 64.</details>
# <details><summary>What is √d in the formula: D or D/h under the root?</summary>D/h. It is the length of the query
# that is actually multiplied, so in ViT-B the scores are divided by √64 = 8.</details>
# <details><summary>You swap head 0 and head 1 in W_Q, W_K and W_V. What else must be swapped so that nothing
# changes?</summary>Their rows of W_O. A sum does not mind the order, as long as each head keeps its own rows.</details>
# <details><summary>One head, no positions. You shuffle the patches. What becomes of the table of weights (lessons 3 and
# 4)?</summary>Its rows and its columns are shuffled likewise. A score depends on one query and one key, wherever they stand,
# and the sum in a softmax does not mind the order.</details>
# <details><summary>A 224×224 image, P = 16, a class token, 12 heads: how many weights are in the tables of one layer (lessons 1
# and 2)?</summary>12 tables of 197 · 197: 465,708.</details>
#
# **Next**: all the parts that move information between tokens are there. Lesson 6 adds what works on each token alone,
# and builds the block that can be stacked.
#
# **Read on**: Vaswani et al. 2017, *Attention Is All You Need*, section 3.2.2 · Dosovitskiy et al. 2021, appendix A ·
# Michel, Levy and Neubig 2019, *Are Sixteen Heads Really Better than One?* · Brown et al. 2020, *Language Models are
# Few-Shot Learners* (GPT-3) · the code of this lesson: `vit_tutorial/attention.py`.
