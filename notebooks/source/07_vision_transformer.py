# %% [markdown]
# # 7 · The Vision Transformer: all the parts together
#
# **The question.** You have patches, a class token, positions, attention with many heads, and the block around it. A
# picture goes in and tokens that know of each other come out. *What is left between the parts we have and the whole
# model of the paper?*
#
# ![A map of the Vision Transformer. Top: an image in nine patches, patch embedding, a row of tokens with the class token in front and positions added, a stack of encoder blocks, a norm, and a head that reads only the class token and gives logits. Bottom: one encoder block. z goes through a norm and multi-head attention and is added again; the sum goes through a norm and the MLP and is added again.](figures/vision_transformer.svg)
#
# You have met every box: the **head** in lesson 2, the norm, the MLP and the plus signs in lesson 6. The answer in one
# sentence: **almost nothing is left, only the order, one more norm, and the weights.** And the weights can come from
# another library.
#
# **What you will do**
#
# 1. Walk through the whole model, box by box. Find the line of code that is each equation of the paper.
# 2. Follow one tiny picture through every step, down to the two probabilities.
# 3. Rebuild the paper's table 1, and load torchvision's ViT-B/16: the same logits.
# 4. Put a part of your own into the model, and see whether it learns.
# 5. Build the whole model yourself, and find what is wrong with six others.
#
# **Time**: 30 minutes, 5 more on a second reading, and 80 for the exercises. **You need**: lessons 1 to 6.

# %%
import math
from dataclasses import replace

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from vit_tutorial import EncoderBlock, FetchError, PatchEmbedding, ViT, ViTConfig
from vit_tutorial import count_parameters, load_model, load_weights, plots, shape_ledger
from vit_tutorial.datasets import DATA_FOLDER, load, pictures
from vit_tutorial.evidence import compare, compare_each, judge
from vit_tutorial.exercises import check
from vit_tutorial.exercises.lesson_07_vision_transformer import patient
from vit_tutorial.explore import ModelMap
from vit_tutorial.explore.model_map import code_of
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.studies import load_study

torch.set_num_threads(1)  # one thread: the same numbers each time

# %% [markdown]
# ## The map
#
# The picture above once more, alive: the course's trained model, run on one test picture. Click a box, or click into
# the map and walk with the arrow keys.
#
# 1. Walk from **Picture** to **Softmax**. Under which boxes does the shape change?

# %%
trained = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
ModelMap(trained, data.test_images[0], box="attn")

# %% [markdown]
# Behind *More* (the key `m`) stand the code of each box, and what leaves it in this very run.
#
# 2. The row marked *cls* is the class token. In **Class token** it is almost white: its numbers are small. Open
#    **Block**, then press the down arrow, to block 6. Where does the row get its colours from?
# 3. Open the MLP, and press the up and down arrows: the same code, block after block, and other numbers.
# 4. The blue bars are shares of the parameters. Which boxes have none at all?
#
# <details><summary>Answers to 1, 2 and 4</summary>
#
# 1: under five: Patches, Linear projection, Class token, Pick and Head.
#
# 2: from attention first: what the class token takes from the patches is added to its row, block after block. The MLP
# works on that and adds its part, which in the last block is larger than attention's.
#
# 4: Picture, Patches, both plus signs, Pick and Softmax.
#
# </details>
#
# This small model widens to 2·D only: 64 → 128 → 64, so its MLP is as large as its attention. In ViT-B, with 4·D, it is
# twice as large.

# %% [markdown]
# ## The four equations, and the same in code
#
# The whole model is four equations (section 3.1 of the paper). `E` is the patch embedding, a matrix of P²·C rows and D
# columns, and L the number of blocks.
#
# $$z_0 = [x_\text{class};\; x_p^1 E;\; x_p^2 E;\; \dots;\; x_p^N E] + E_\text{pos} \qquad \text{(1)}$$
# $$z'_\ell = \text{MSA}(\text{LN}(z_{\ell-1})) + z_{\ell-1} \qquad \ell = 1 \dots L \qquad \text{(2)}$$
# $$z_\ell = \text{MLP}(\text{LN}(z'_\ell)) + z'_\ell \qquad \ell = 1 \dots L \qquad \text{(3)}$$
# $$y = \text{LN}(z_L^0) \qquad \text{(4)}$$
#
# | sign | what it is | shape |
# |---|---|---|
# | $x_p^i$ | the numbers of patch i, in a row | [P²·C] |
# | $x_\text{class}$ | the class token | [D] |
# | $[\,;\;]$ | one below the other: N+1 tokens | [N+1, D] |
# | $E_\text{pos}$ | the positions | [N+1, D] |
# | $z_\ell$ | the tokens after block $\ell$; $z'_\ell$ is halfway through it | [N+1, D] |
# | LN, MSA, MLP | layer norm, multi-head self-attention, MLP (lessons 5 and 6) | [N+1, D] to [N+1, D] |
# | $z_L^0$ | token 0, the class token, after the last block | [D] |
# | $y$ | what stands for the whole picture | [D] |
#
# Here is the course's code for it, read from the files. It adds a bias to $x_p E$, which the formula leaves out.

# %%
print("vit.py, ViT.forward")
print(code_of(ViT.forward, "# ", "return"))
print("\nvit.py, ViT.classify and ViT._pool, which end equation 4")
print(code_of(ViT.classify, "keep("))
print(code_of(ViT._pool, "return"))
print("\nencoder.py, EncoderBlock.forward")
print(code_of(EncoderBlock.forward, "# equation"))

# %% [markdown]
# The norm does the same to each token alone. So it makes no difference that the code norms all tokens and then picks
# token 0, `tokens[:, 0]`. (M is N+1, or N without a class token. `keep` only notes a stage down for whoever asks;
# `_one_by_one` runs the same blocks, and notes each. `dropout`, `drop` and `drop_path` work while training only (lesson
# 6). `pre_logits` does nothing here; it is for pre-training, a first, long training on very many pictures.)
#
# A block takes [B, N+1, D] and gives [B, N+1, D], so as many as we like can be stacked. Behind the four equations
# stands the **head**: one linear layer that reads y and gives one number for each class, the *logits*. Softmax would
# turn these into probabilities.
#
# Is that all? Compute the four equations with bare hands, and ask the model:

# %%
image = trained.card.normalize(data.test_images[:1])  # [1, 1, 28, 28]
x_class, E_pos = trained.class_token.cls_token, trained.position.pos_embed
with torch.no_grad():
    z = torch.cat([x_class, trained.patch_embed(image)], dim=1) + E_pos  # equation 1: [1, 50, 64]
    for block in trained.blocks:
        z = block.attn(block.norm1(z)) + z  # equation 2
        z = block.mlp(block.norm2(z)) + z  # equation 3
    y = trained.norm(z[:, 0])  # equation 4: [1, 64]
    logits = trained.head(y)  # [1, 10]
    print("four equations and the head are the model:", torch.allclose(logits, trained(image), rtol=0, atol=1e-5))
print("it says:", trained.card.class_names[logits.argmax()])

# %% [markdown]
# ### The same at the size of the paper
#
# `ViT.from_name` builds any ViT by its name: the size (Ti, S, B, L, H), and the patch size after the slash. Here is a
# ViT-B/16 with a cat, at every step. It is untrained: shapes are all we can learn from it.

# %%
torch.manual_seed(0)
model = ViT.from_name("ViT-B/16").eval()
cat = pictures("chelsea")[None].float() / 255  # [1, 3, 224, 224]
with torch.no_grad():
    stages = model.forward_intermediates(cat)

meaning = {"patches": "N = 14·14 rows of 16·16·3 numbers", "patch_embed": "each row becomes D numbers"}
meaning |= {"class_token": "one token more", "position": "+ E_pos, equation 1", "norm": "LN"}
meaning |= {"pool": "the class token, equation 4", "pre_logits": "as it is", "logits": "one number a class"}
meaning |= {"blocks.0": "equations 2 and 3; the same shape up to blocks.11"}
for name, value in {"images": cat, **stages}.items():
    if "blocks" not in name or name == "blocks.0":
        print(f"{name:<12}{list(value.shape)!s:<18}{meaning.get(name, '')}")
print("all twelve blocks give one shape:", len({stages[f"blocks.{i}"].shape for i in range(12)}) == 1)

# %% [markdown]
# ## By hand: one picture, step by step
#
# Now a model so small that you can watch every number. A 16×16 picture of the cat, patches of 4×4, so N = 16 patches.
# D = 8 numbers per token, one block, two heads, two classes: cat or dog.
#
# We set two things so that you can begin with a pencil. The bias of the patch embedding, which is added to all patches,
# is such that the first one becomes [0.2, −0.5, 0.8, 0.1, −0.3, 0.6, 0.9, −0.2]. And the position of that patch is
# [0.1, 0.2, −0.1, 0.3, −0.2, 0.4, 0.1, −0.3]. All matrices, the class token and the other positions are random and
# **untrained**. So the answer will mean nothing; the way to it is the real one.

# %%
tiny = ViT(ViTConfig(image_size=16, patch_size=4, num_classes=2, dim=8, depth=1, num_heads=2)).double().eval()
picture = pictures("chelsea", size=16)
image = picture[None].double() / 255  # [1, 3, 16, 16]

first_patch = torch.tensor([0.2, -0.5, 0.8, 0.1, -0.3, 0.6, 0.9, -0.2], dtype=torch.float64)
its_position = torch.tensor([0.1, 0.2, -0.1, 0.3, -0.2, 0.4, 0.1, -0.3], dtype=torch.float64)
torch.manual_seed(4)
with torch.no_grad():
    for weight in tiny.parameters():
        if weight.ndim > 1:
            # larger than usual for the class token, the positions and the head: so two decimals show something
            weight.normal_(std=0.25)
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
# Next the block, equation 2. We follow the first patch, which is token 1, and the class token, which is token 0. Check
# the norm too: its eight numbers must add up to 0, apart from rounding.

# %%
block = tiny.blocks[0]
with torch.no_grad():
    normed = block.norm1(z)
    say("norm of the patch", normed[0, 1])
    message, weights = block.attn(normed, return_weights=True)  # [1, 17, 8], [1, 2, 17, 17]
    for token, name in ((1, "patch"), (0, "class")):
        for head in range(2):
            say(f"{name}, head {head}: at 0-7", weights[0, head, token, :8])
            say("              and 8-16", weights[0, head, token, 8:])
        say("  attention says", message[0, token])
    z = z + message
    say("equation 2: patch", z[0, 1])
    say("            class", z[0, 0])

# %% [markdown]
# A row of 17 weights says how much a token takes from each of the 17, and adds up to 1. The model is untrained, so most
# weights lie around 1/17 = 0.06. The last two lines are z', the tokens halfway through the block.
#
# Then equation 3, where each token is alone, and 8 numbers become 32 and 8 again:

# %%
with torch.no_grad():
    hidden = F.gelu(block.mlp.fc1(block.norm2(z)))  # [1, 17, 32]
    say("8 of the 32 hidden", hidden[0, 0, :8])
    correction = block.mlp.fc2(hidden)  # [1, 17, 8]
    say("the MLP says", correction[0, 0])
    z = z + correction
    say("equation 3: class", z[0, 0])

# %% [markdown]
# Equation 4: the last norm, and of all tokens the class token alone.

# %%
with torch.no_grad():
    y = tiny.norm(z)[:, 0]  # equation 4: [1, 17, 8] -> [1, 8]
    say("equation 4: y", y[0])
    logits = tiny.head(y)  # [1, 2]
    say("logits cat, dog", logits[0])
    cat_or_dog = logits.softmax(dim=-1)[0]
    print(f"{cat_or_dog[0]:.0%} cat, {cat_or_dog[1]:.0%} dog")

# %% [markdown]
# It sounds sure of itself, and it has learned nothing: a probability is worth what the training behind it is worth.
#
# And the patch that we followed? Overwrite all patches after the block, and see what the head makes of it:

# %%
with torch.no_grad():
    overwritten = z.clone()
    overwritten[:, 1:] = 100  # every token but the class token
    print("the same logits:", torch.allclose(tiny.head(tiny.norm(overwritten)[:, 0]), logits))
say("class at patch, 2 heads", weights[0, :, 0, 1])

# %% [markdown]
# With one block, nobody reads the patch any more. Its only effect on the answer was through its key and its value in
# equation 2, when the class token looked at it with the two weights above, one in each head.
#
# ### "A 16×16 picture becomes 16 tokens, with the class token 17, and at the end two probabilities"
#
# We ask the model itself for all its stages, and compare them with what we followed step by step.

# %% tags=["claim-V3"]
with torch.no_grad():
    steps = tiny.forward_intermediates(image)
shapes = [list(steps[name].shape) for name in ("patches", "patch_embed", "class_token", "blocks.0", "logits")]
print(*shapes, sep=" -> ")
ours = {"blocks.0": z, "pool": y, "logits": logits}
same = {name: torch.allclose(steps[name], followed) for name, followed in ours.items()}
print("ours is the model's:", same)
as_said = shapes[1:3] + shapes[4:] == [[1, 16, 8], [1, 17, 8], [1, 2]]
as_said &= abs(steps["logits"].softmax(dim=-1).sum().item() - 1) < 1e-12
words = "16 tokens become 17, then two logits, which softmax makes two probabilities, and so by hand"
print(judge(as_said and all(same.values()), words))

# %% [markdown]
# Here are all 17 tokens with their 8 numbers, on the way through:

# %% jupyter={"source_hidden": true}
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
    caption="Red is positive, blue negative, white zero. The top row is the class token: the head reads its last colours. Patch 0 below it is the other token that we followed.",
)

# %% [markdown] tags=["extra"]
# ### "In a grey picture, 16 numbers a patch become 8 without a bias; the head goes 8 → 4 → 2"
#
# *Extra.* The first patch and its position above come from notes. There the picture is grey, its first patch is black,
# and the head has a hidden layer of 4. Does the example hold?

# %% tags=["extra", "claim-V3"]
grey_config = ViTConfig(16, 4, in_channels=1, num_classes=2, dim=8, depth=1, num_heads=2, representation_size=4)
grey = ViT(grey_config).double().eval()
black = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
with torch.no_grad():
    grey.patch_embed.proj.bias.copy_(first_patch)
    of_grey = grey.forward_intermediates(black)
    with_bias = of_grey["patch_embed"][0, 0]
    without_bias = with_bias - grey.patch_embed.proj.bias
shapes = [list(of_grey[name].shape[1:]) for name in ("patches", "patch_embed", "class_token", "pre_logits", "logits")]
print(*shapes, sep=" -> ")
notes_sum = torch.tensor([0.3, -0.3, 0.7, 0.4, -0.5, 1.0, 1.0, -0.5], dtype=torch.float64)
print("first patch + its position as in the notes:", torch.allclose(first_patch + its_position, notes_sum))
print("a black patch can become their first token with a bias:", torch.equal(with_bias, first_patch))
hidden = grey.pre_logits[0](of_grey["norm"][0, 0])  # [4], before it is bent
ends = {name: grey.head(bent(hidden)).tolist() for name, bent in (("tanh", torch.tanh), ("ReLU", F.relu))}
for name, logits in ends.items():
    print(f"8 -> 4 -> {name} -> 2: logits", [round(logit, 3) for logit in logits])
print("with tanh it is what the model says:", torch.allclose(torch.tensor(ends["tanh"]).double(), of_grey["logits"][0]))
print(judge(shapes == [[16, 16], [16, 8], [17, 8], [4], [2]], "the shapes are as said"))
print(judge(torch.equal(without_bias, first_patch), "without a bias a black patch becomes the notes' first token"))

# %% [markdown] tags=["extra"]
# Zeros times any matrix are zeros: without a bias every black patch becomes the same token, all zeros. (The notes have
# ReLU between 8 → 4 and 4 → 2, the paper has tanh. The shapes are the same, and the logits are not.)

# %% [markdown]
# ## Claims, tested
#
# ### "ViT-B, L and H have 86, 307 and 632 million parameters"
#
# This is table 1 of the paper. We build its models on the `meta` device (lesson 6), and ask torchvision for its counts.

# %% jupyter={"source_hidden": true}
paper = {"B": 86, "L": 307, "H": 632}  # millions
with torch.device("meta"):
    models = {name: ViT.from_name(f"ViT-{name}") for name in ("B/16", "B/32", "L/16", "L/32", "H/14")}
    theirs = {name: torchvision.models.get_model(f"vit_{name.replace('/', '_').lower()}") for name in models}
print(f"{'ViT-':<6}{'layers':>6}{'D':>6}{'MLP':>6}{'heads':>6}{'parameters':>14}{'without head':>14}{'paper':>8}")
counted = {}  # of each model, in millions: with the head, without it
for name, model in models.items():
    config, all_of_it = model.config, count_parameters(model)
    without = all_of_it - count_parameters(model.head)
    counted[name] = all_of_it / 1e6, without / 1e6
    shape = f"{config.depth:>6}{config.dim:>6}{int(config.dim * config.mlp_ratio):>6}{config.num_heads:>6}"
    print(f"{name:<6}{shape}{all_of_it:>14,}{without:>14,}{paper[name[0]]:>6} M")

# %% tags=["claim-V1"]
same = all(count_parameters(models[name]) == count_parameters(theirs[name]) for name in models)
print("the same as torchvision's, to the last parameter:", same)
meant = set()
for name, pair in counted.items():
    for millions, head in zip(pair, ("with", "without"), strict=True):
        if round(millions) == paper[name[0]]:
            meant.add((name[0], head))
            print(f"{paper[name[0]]} is ViT-{name} {head} its head")
one_rule = {f"{head} heads": {(size, head) for size in paper} <= meant for head in ("with", "without")}
off = math.ceil(max(abs(100 * millions / paper[name[0]] - 100) for name, pair in counted.items() for millions in pair))
print(judge(off < 5, f"the three are right to 5%; the worst is off by less than {off}%"))
print(judge(any(one_rule.values()), "one rule, with heads or without, gives all three to the million"))

# %% [markdown]
# Table 1 gives one number for each size, and does not say for which patches, nor whether the head is counted. Ours have
# a head for 1,000 classes.
#
# Where do they sit? The MLP holds two thirds of a block (lesson 6). The bars of ViT-B/16:

# %% jupyter={"source_hidden": true}
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

# %% jupyter={"source_hidden": true}
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
# ## Everybody's weights
#
# ### "This is the real ViT"
#
# The best test: take torchvision's ViT-B/16, copy all its weights into ours, and show both
# the cat. The weights are random, so nothing is downloaded.

# %%
torch.manual_seed(0)
theirs = torchvision.models.vit_b_16(weights=None).eval()
nn.init.normal_(theirs.heads.head.weight, std=0.02)
with torch.device("meta"):
    ours = ViT.from_name("ViT-B/16")
ours = load_weights(ours.to_empty(device="cpu"), theirs.state_dict()).eval()
print(f"{count_parameters(ours):,} weights copied")

# %% tags=["claim-real-vit"]
with torch.no_grad():
    our_logits, their_logits = ours(cat), theirs(cat)  # [1, 1000] each
spread, difference = their_logits.std().item(), (our_logits - their_logits).abs().max().item()
print(f"spread of the logits above 0.1: {spread > 0.1}")
print(f"largest difference below 0.00001: {difference < 1e-5}")
print(judge(spread > 0.1 and difference < 1e-5, "with torchvision's weights it gives torchvision's logits"))

# %% [markdown]
# `load_weights` finds out by itself whose weights it is given: torchvision's, timm's, or Google's own, which come as
# `.npz` files. What does not fit is refused with a sentence.
#
# What is missing before this model can say "cat"? Nothing but training. Torchvision's trained weights are 346 MB, so
# this cell fetches them only if you write `True`.

# %%
FETCH = False  # True: fetch the weights of ViT-B/16 through torchvision, once
try:
    published, picture = ViT.from_pretrained("ViT-B/16", fetch=FETCH), pictures("chelsea")
except FetchError as error:
    print(error, "\n\nSo the course's own model looks at a test picture:")
    published, picture = trained, data.test_images[0]
with torch.no_grad():
    probabilities = published(published.card.normalize(picture[None])).softmax(dim=-1)[0]
for probability, place in zip(*probabilities.topk(3), strict=True):
    print(f"  {published.card.class_names[place]:<20} {probability:.0%}")

# %% [markdown]
# ## Put your own part in
#
# Six parts of `ViT` can be swapped for a class of your own: `patch_embed`, `class_token`, `position`, `block`,
# `attention` and `mlp`.
#
# Here is an attention in the plainest form: three separate linear layers, a reshape and a transpose, and the formula of
# lesson 4. It is called with dim and num_heads, and with qkv_bias if it knows that word (do the layers of Q, K and V
# have a bias?), and turns [B, N, D] into [B, N, D]. Change it as you like: leave out the scaling, add a mask, try one
# head.


# %%
class PlainAttention(nn.Module):
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
# Does the whole still fit together? The **ledger** runs a model once and writes down every part that is called, with
# its shapes and parameters. It works on any `nn.Module`, also on yours. Parts in a row that are the same are folded
# into one line.

# %%
torch.manual_seed(0)
config = ViTConfig(image_size=28, patch_size=7, in_channels=1, num_classes=10, dim=64, depth=2, num_heads=4)
mine = ViT(config, attention=PlainAttention)
rows = shape_ledger(mine, torch.zeros(1, 1, 28, 28), fold=True)
columns = f"{'name':<24} {'class':<20} {'in':<16} -> {'out':<16} {'parameters':>15}"
print(columns)
for row in rows:
    if "drop" not in row.name and row.name.count(".") < 3:
        print(row)
tops = [row for row in rows if row.name and "." not in row.name]  # the parts of the model itself
print("their parameters add up to the model's:", sum(row.parameters for row in tops) == count_parameters(mine))

# %% [markdown]
# Does it learn? A good first test of any model: can it learn one small batch by heart? If not, something is broken. The
# loss is −ln of the probability that the model gives the *right* class: 0 if it is certain and right (lesson 11). A
# model that knows nothing gives each of ten classes 1/10, so it starts at −ln(1/10) = ln 10.


# %%
def learn_by_heart(model, steps=60):
    images, labels = data.normalize(data.train_images[:64]), data.train_labels[:64]  # [64, 1, 28, 28], [64]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


losses = learn_by_heart(mine)
print(f"loss at the start near ln 10 = {math.log(10):.1f}: {abs(losses[0] - math.log(10)) < 0.5}")
print(f"loss at the end below 0.1: {losses[-1] < 0.1}")

# %% [markdown]
# Learning 64 pictures by heart says nothing about new pictures. It says that the parts fit together, and can learn.

# %% [markdown]
# ## More claims, for a second reading
#
# On a first reading go on to the exercises. These take 5 minutes, and nothing later needs them.
#
# ### "The head is Linear + tanh + Linear in pre-training, and one Linear afterwards"
#
# (Section 3.1; the tanh is in appendix D.3, and in Google's code.) **Pre-training** is the first, long training, on
# very many images: in the paper on ImageNet, ImageNet-21k (in Google's files 21,843 classes) or JFT-300M, of 1.3, 14
# and 303 million images (section 4.1). **Fine-tuning** goes on from there for a short time, on the smaller task that
# one wants solved, with its own classes. For that the whole head is thrown away, and a new one starts, in the paper at
# zero (appendix B.1.1). The size of the hidden layer is `representation_size`.
#
# We take a small model from torchvision with such a head and random weights, as if it came from pre-training. Ours must
# load it and say the same:

# %%
torch.manual_seed(0)
sizes = {"image_size": 64, "patch_size": 16, "num_layers": 2, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 256}
big_head = torchvision.models.VisionTransformer(**sizes, num_classes=21_843, representation_size=32).eval()
nn.init.normal_(big_head.heads.head.weight, std=0.02)  # torchvision starts the head at 0, which would hide everything
config = ViTConfig(64, 16, num_classes=21_843, dim=64, depth=2, num_heads=4, representation_size=32)
pretrained = load_weights(ViT(config).eval(), big_head.state_dict())
small_cat = pictures("chelsea", size=64)[None].float() / 255
with torch.no_grad():
    equal = torch.allclose(pretrained(small_cat), big_head(small_cat), rtol=0, atol=1e-5)
print("head:", *[type(layer).__name__ for layer in (*pretrained.pre_logits, pretrained.head)])
print("the same 21,843 logits:", equal)

# %% [markdown]
# Now fine-tuning: ten classes, and one linear layer. `load_weights` refuses to drop the old head unless it is told so:

# %% tags=["claim-V2"]
tuned = ViT(replace(config, num_classes=10, representation_size=None)).eval()
try:
    load_weights(tuned, big_head.state_dict())
except ValueError as error:
    print(str(error).split("; nothing")[0], "…")
load_weights(tuned, big_head.state_dict(), skip_head=True)
with torch.no_grad():
    body = [m.forward_intermediates(small_cat)["norm"] for m in (pretrained, tuned)]
kept, one_layer = torch.equal(*body), isinstance(tuned.pre_logits, nn.Identity) and isinstance(tuned.head, nn.Linear)
print("all but the head is kept:", kept)
print(judge(equal and kept and one_layer, "the head is so in the code, ours and torchvision's"))

# %% [markdown] tags=["extra"]
# ### "`pre_logits`, `distilled` and `representation_size` belong to a ViT"
#
# *Extra*, for readers of older copies of timm's file. `representation_size` is the width of the hidden layer above, and
# `pre_logits` is that layer. `distilled` adds a second learned token, with a head of its own, which learns from a
# teacher (DeiT, Touvron et al. 2021). Today's timm (1.0) takes neither `representation_size` nor `distilled`.

# %% tags=["extra", "claim-V5"]
pre_logits = {"representation_size is set": pretrained.pre_logits, "it is not": tuned.pre_logits}
has_layer = {name: any(part.numel() for part in layer.parameters()) for name, layer in pre_logits.items()}
print(judge(has_layer, "a ViT has the layer pre_logits", holds="if"))

# %% [markdown] tags=["extra"]
# ### "What is new in ViT is attention, the positions or the class token"
#
# *Extra.* Who had it before:
#
# | part | before ViT | where to read it |
# |---|---|---|
# | self-attention alone, with residuals and MLP | Vaswani et al. 2017 | sections 1 and 3 |
# | learned 1-D positions | tried there too, after Gehring et al. 2017 | section 3.5 and table 3, row E |
# | class token | BERT, Devlin et al. 2019 | "similar to BERT's [class] token": ViT, section 3.1 |
# | norm before each branch | Wang et al. 2019; Baevski and Auli 2019 | ViT, section 3.1 |
# | patches as tokens, of 2×2 | Cordonnier et al. 2020 (in November 2019 on arXiv) | ViT, section 2 |

# %% tags=["extra", "claim-V4"]
seen_in = {"attention": 2017, "positions": 2017, "class token": 2018, "norm before": 2019, "patches": 2019}
vit_appeared = 2020  # in October: arXiv 2010.11929
new = [part for part, year in seen_in.items() if year >= vit_appeared]
print(judge(len(new) > 0, f"any of these was new in ViT: {', '.join(seen_in)}"))

# %% [markdown] tags=["extra"]
# The paper says what is (section 2): large patches, and the finding that pre-training on very many pictures makes a
# plain Transformer as good as the best CNNs.
#
# ### "Larger patches make any resolution affordable"
#
# *Extra.* Cordonnier's patches of 2×2 were for small pictures. Here is the work of the whole model, ViT-B with patches
# of 2 and of 16, in operations for one picture.

# %% tags=["extra", "claim-P8"]
base, work = ViT.from_name("ViT-B/16", image_size=224).config, {}
for side, size in ((32, 2), (224, 2), (224, 16), (448, 16), (3584, 16)):
    work[side, size] = flops_per_image(replace(base, image_size=side, patch_size=size))
    tokens = (side // size) ** 2
    print(f"{side:>5} pixels, P = {size:>2}: {tokens:>6,} tokens, {work[side, size] / 1e9:>9,.0f} billion operations")
small_patches = work[224, 2]
print(
    judge(work[224, 16] < small_patches / 100, "at 224 pixels P = 16 takes less than a hundredth of the work of P = 2")
)
less = {f"at {side} pixels": cost < small_patches for (side, size), cost in work.items() if size == 16}
print(judge(less, "with P = 16 a picture takes less work than one of 224 pixels with P = 2", holds="if"))

# %% [markdown] tags=["extra"]
# Larger patches move the limit. They do not take it away: with P fixed, the number of tokens grows with the pixels, and
# the work of attention with its square.

# %% [markdown]
# ### "A feature map of a CNN can be the input, instead of the image"
#
# A **CNN** is a network of convolutions (lesson 1), one after another. What a layer gives is its **feature map**, [F,
# h, w]: F numbers, the channels, at each of h·w places. **ResNet-50**, for short R50, is a well-known CNN of 50 layers.
#
# The paper's **hybrid** (section 3.1): a ResNet looks at the picture first. Its feature map has few places and many
# channels. Each place becomes a token, as a patch of 1×1:

# %%
with torch.device("meta"):
    hybrid = ViT.from_name("R50+ViT-B/16")
    stages = hybrid.forward_intermediates(torch.empty(1, 3, 224, 224))
for name in ("feature_map", "patches", "patch_embed", "class_token", "logits"):
    print(f"{name:<12}{list(stages[name].shape)}")
print("the projection sees", hybrid.patch_embed.proj.kernel_size, "places of the map at a time")
resnet = count_parameters(hybrid.patch_embed.backbone)
print(f"{resnet:,} of {count_parameters(hybrid):,} parameters are the ResNet's")

# %% [markdown]
# 14·14 places with 1,024 numbers each, against 14·14 patches with 768 numbers each. From `patch_embed` on, the shapes
# are those of ViT-B/16. So the blocks cannot tell the difference, and it is one word in the config: `stem="hybrid"`.
#
# Does it learn as well? A small hybrid, whose ResNet is its first layer alone, was trained on Fashion-MNIST beside the
# pure model, with different numbers of blocks. (That layer is a convolution with norm, ReLU and pooling, which keeps
# the largest of 3 by 3 neighbouring places in each channel.)
#
# As in lesson 2, each model tried three learning rates, and takes the one that was best for *it* on the validation
# pictures. Then the test pictures judge.

# %% jupyter={"source_hidden": true}
study = load_study("hybrid")
rows = {
    f"{name}, {study.scores(name).rate.value:g}: {study.variants[name]['flops'] / 1e6:.1f} M": values
    for name, values in study.accuracies().items()  # of each seed
}
colours = [plots.ORANGE if name.startswith("hybrid") else plots.BLUE for name in rows]
figure, axes = plots.new_figure(size=(8, 3.2))
plots.draw_spread(axes[0, 0], rows, colours=colours)
print(f"{study.data['training']:,} pictures, {study.settings['training']['epochs']} epochs:", study.command)
plots.show(
    figure,
    alt="Test accuracies of three seeds each: four pure models of 1 to 8 blocks, and three hybrids of 1 to 4 "
    "blocks, all of which lie to the right of every pure model.",
    caption="Blue: patches of pixels. Orange: hybrid. After the blocks the learning rate that was chosen. M: "
    "million operations for one picture.",
)

# %% tags=["claim-P6"]
takes_map = hybrid.patch_embed.proj.kernel_size == (1, 1)
learned = min(map(min, rows.values())) > 0.5  # guessing gives 0.1
print(judge(takes_map and learned, "a feature map can be the input"))
pairs = {
    blocks: (study.scores(f"hybrid, {blocks}"), study.scores(f"pure, {blocks}"))
    for blocks in ("1 block", "2 blocks", "4 blocks")
}
print(compare_each(pairs, "the hybrid is more accurate than the pure model of as many blocks"))

# %% [markdown]
# With 2 blocks three seeds do not show it. And does the advantage shrink with more blocks? Then the gain with 1 block
# would be larger than the gain with 4:

# %%
gains = {blocks: replace(one - other, name=f"gain with {blocks}") for blocks, (one, other) in pairs.items()}
print(compare(gains["1 block"], gains["4 blocks"], "the advantage shrinks"))

# %% [markdown]
# For the same number of blocks the hybrid costs more: the ResNet's layer has to be paid for. What would the pure model
# have made of further blocks?

# %%
small, large = study.scores("hybrid, 1 block"), study.scores("pure, 8 blocks")
print(compare(small, large, "a hybrid of 1 block is more accurate than 8 blocks without"))
flops = {name: row["flops"] for name, row in study.variants.items()}
print(f"for {flops['hybrid, 1 block'] / flops['pure, 8 blocks']:.0%} of the operations")

# %% [markdown]
# Here one convolution with norm, ReLU and pooling was worth more than all these further blocks. Which part of it does
# this, the study does not say. All models are tiny, and the training is short. In the paper (section 4.4, figure 5)
# hybrids are a little better at small budgets, and no longer at large ones.

# %% [markdown]
# ## Exercise: count a ViT
#
# Difficulty 2 of 5, about 10 minutes. Importance 2 of 3. Return three numbers of parameters: those in front of the
# blocks (patch embedding, class token, positions), those of all blocks together, and those behind (the last norm and
# the head). You get D, the depth, P, the side of the picture in pixels (it has 3 channels), and the number of classes.
# The MLP widens to 4·D here, as in the paper, and every linear layer has biases.
#
# <details><summary>Hint 1</summary>
#
# The patch embedding is a linear layer from 3·P·P numbers to D, with biases. There are (side / P)² patches, and one
# token more has a position.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A block has 12·D² + 13·D (lesson 6: attention 4·D² + 4·D, the MLP 8·D² + 5·D, two norms 4·D). The head is a linear
# layer from D to the classes.
#
# </details>


# %% tags=["exercise"]
def my_vit_parameters(dim, depth, patch_size, image_size, num_classes): ...  # return front, blocks, behind


check.vit_parameters(my_vit_parameters)

# %% [markdown]
# The solution is in the next cell, folded. Open it when your own passes, or when you are stuck.


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_vit_parameters(dim, depth, patch_size, image_size, num_classes):
    tokens = (image_size // patch_size) ** 2 + 1
    front = (3 * patch_size**2 * dim + dim) + dim + tokens * dim
    blocks = depth * (12 * dim**2 + 13 * dim)
    return front, blocks, 2 * dim + (dim * num_classes + num_classes)


check.vit_parameters(my_vit_parameters)

# %% [markdown]
# ## Exercise: write `forward`
#
# Difficulty 3 of 5, about 10 minutes. Importance 3 of 3. You get a model with all its parts, and images [B, C, H, W].
# Give the logits [B, num_classes], without calling `model(images)`: the model you get refuses that. The parts are
# `model.patch_embed`, `model.class_token`, `model.position`, `model.blocks` (a list of blocks), `model.norm` and
# `model.head`.
#
# Each part is called like a function. `model.class_token(x)` already puts the token in front: [B, N, D] to [B, N+1, D].
# `model.position(x)` already adds E_pos. A block already holds its two plus signs.
#
# <details><summary>Hint 1</summary>
#
# Walk through the map from left to right. Each part takes what the part before it gave. The positions are for N+1
# tokens, so the class token has to be there already.
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
# The solution, folded:


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
# ## Exercise: rename foreign weights
#
# Difficulty 3 of 5, about 20 minutes. Importance 1 of 3. Torchvision and timm have the same ViT, with other names for
# its parts. The course uses timm's. You get a state dict of torchvision's, from names to tensors. Return a new dict
# with the same tensors under timm's names:
#
# | torchvision | timm |
# |---|---|
# | `class_token` | `cls_token` |
# | `conv_proj.…` | `patch_embed.proj.…` |
# | `encoder.pos_embedding` | `pos_embed` |
# | `encoder.layers.encoder_layer_7.ln_1.…`, `….ln_2.…` | `blocks.7.norm1.…`, `blocks.7.norm2.…` |
# | `….self_attention.in_proj_weight`, `…_bias` | `….attn.qkv.weight`, `….bias` |
# | `….self_attention.out_proj.…` | `….attn.proj.…` |
# | `….mlp.0.…`, `….mlp.3.…` | `….mlp.fc1.…`, `….mlp.fc2.…` |
# | `encoder.ln.…` | `norm.…` |
# | `heads.head.…` | `head.…` |
#
# The 7 stands for the number of any block.
#
# <details><summary>Hint 1</summary>
#
# Go through `weights.items()`, and change each name with `name.replace(…, …)`. Print the names after each step: which
# ones are not what you wanted?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `name.replace("encoder.layers.encoder_layer_", "blocks.")` keeps the number as it is, even a 10. Where one piece is
# part of another, replace the longer one first.
#
# </details>


# %% tags=["exercise"]
def my_timm_names(weights): ...  # {torchvision's name: tensor} -> {timm's name: tensor}


check.timm_names(my_timm_names)

# %% [markdown]
# With it, load torchvision's model without the course's help:

# %%
if check.timm_names(my_timm_names).passed:
    fresh = ViT.from_name("ViT-B/16").eval()
    fresh.load_state_dict(my_timm_names(theirs.state_dict()), strict=True)
    with torch.no_grad():
        print("same logits, by your names:", torch.allclose(fresh(cat), their_logits, rtol=0, atol=1e-5))
else:
    print("my_timm_names does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_timm_names(weights):
    pairs = {"encoder.layers.encoder_layer_": "blocks.", "ln_1": "norm1", "ln_2": "norm2", "encoder.ln": "norm"}
    pairs |= {"self_attention.in_proj_": "attn.qkv.", "self_attention.out_proj": "attn.proj"}
    pairs |= {"mlp.0": "mlp.fc1", "mlp.3": "mlp.fc2", "conv_proj": "patch_embed.proj", "heads.head": "head"}
    pairs |= {"class_token": "cls_token", "encoder.pos_embedding": "pos_embed"}
    renamed = {}
    for name, weight in weights.items():
        for torchvision_name, timm_name in pairs.items():
            name = name.replace(torchvision_name, timm_name)
        renamed[name] = weight
    return renamed


check.timm_names(my_timm_names)

# %% [markdown]
# Now run the cell above the solution again: it loads torchvision's model by your names.

# %% [markdown]
# ## Exercise: the whole model, from your own parts
#
# Difficulty 4 of 5, about 25 minutes. Importance 3 of 3. One class,
# `MyViT(image_size, patch_size, in_channels, num_classes, dim, depth, num_heads)`, from images [B, C, H, W] to logits
# [B, num_classes]. Take the course's `PatchEmbedding(image_size, patch_size, in_channels, dim)` and
# `EncoderBlock(dim, num_heads)`. Or take your own classes from lessons 1 to 6: copy them into this cell. Inside they
# need the course's names: `proj`, an `nn.Conv2d`, in the patch embedding (a linear layer is as right, but its weights
# have another shape); `norm1`, `attn`, `norm2` and `mlp` in the block, with `qkv` and `proj` in `attn`, `fc1` and `fc2`
# in `mlp`.
#
# The check loads the course's weights into it by name, and compares the logits. So call the parts `patch_embed`,
# `cls_token` (a parameter [1, 1, D]), `pos_embed` (a parameter [1, N+1, D], where N = (image_size // patch_size)²),
# `blocks`, `norm` (with eps=1e-6) and `head`.
#
# <details><summary>Hint 1</summary>
#
# `nn.Parameter(torch.zeros(1, 1, dim))` is something to learn. `nn.Sequential(*[EncoderBlock(dim, num_heads) for _ in
# range(depth)])` is a stack of *different* blocks.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The class token is there once, [1, 1, D], and the batch has B images: [B, N, D].
# `self.cls_token.expand(x.shape[0], -1, -1)` gives one to each image, and `torch.cat([…, x], dim=1)` puts it in front.
# Then the four equations.
#
# </details>


# %% tags=["exercise"]
class MyViT(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
        super().__init__()
        ...  # the six parts

    def forward(self, images):
        # [B, C, H, W] -> [B, num_classes]
        ...


check.vit_from_parts(MyViT)

# %% [markdown]
# Now let it learn 64 pictures by heart, and look at its ledger. (The class token and the positions are numbers of the
# model itself, so they have no line of their own.)

# %%
if check.vit_from_parts(MyViT).passed:
    torch.manual_seed(0)
    yours = MyViT(28, 7, 1, 10, 64, 2, 4)
    print("your model has learned 64 pictures: the loss is below 0.1:", learn_by_heart(yours)[-1] < 0.1)
    print(columns)
    for row in shape_ledger(yours, torch.zeros(1, 1, 28, 28), fold=True):
        if row.name.count(".") == 0:
            print(row)
else:
    print("MyViT does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
class MyViT(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
        super().__init__()
        self.patch_embed = PatchEmbedding(image_size, patch_size, in_channels, dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.randn(1, (image_size // patch_size) ** 2 + 1, dim) * 0.02)
        self.blocks = nn.Sequential(*[EncoderBlock(dim, num_heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, images):
        x = self.patch_embed(images)  # [B, N, D]
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embed  # equation 1
        x = self.norm(self.blocks(x))  # equations 2, 3 and 4: [B, N+1, D]
        return self.head(x[:, 0])  # [B, num_classes]


check.vit_from_parts(MyViT)

# %% [markdown]
# Now run the cell above the solution again: it trains your model, and prints its ledger.

# %% [markdown]
# ## The bug clinic
#
# Seven small models lie in beds A to G. Six have one fault each; one is well. Do not look up their code: all faults are
# of the kind that one overlooks when reading. All seven give logits of the right shape. And do they learn?


# %%
def last_loss(model):
    torch.manual_seed(0)
    return learn_by_heart(model.train(), steps=30)[-1]


learned = {letter: last_loss(patient(letter)) < 1 for letter in "ABCDEFG"}
print("the loss falls below 1:", learned)

# %% [markdown]
# So neither shape nor loss finds anything. We need instruments that ask what *should* be true of a ViT:
#
# | instrument | how | a model that is well |
# |---|---|---|
# | fixed | which token, at the entrance of the blocks, is the same for two different pictures? | token 0, the class token |
# | read | to which of the last tokens does the gradient of the logits come? | token 0 |
# | size | root mean square of what the head reads | 1, after a norm that is not trained yet |
# | same when shuffled | the rows of patches in reverse order: are the logits the same? | no |
# | same again | the same picture twice: are the logits the same? | yes |
# | parameters | how many? | as many as the others |
#
# The next cell holds them, folded.


# %% jupyter={"source_hidden": true}
def examine(model):
    torch.manual_seed(0)
    images, seen = torch.randn(2, 1, 28, 28), {}
    for name in ("blocks", "head"):  # hooks: keep what goes in and what comes out
        getattr(model, name).register_forward_hook(lambda part, x, y, name=name: seen.update({name: (x[0], y)}))
    logits = model(images)
    (entering, leaving), (read, _) = seen["blocks"], seen["head"]
    gradient = torch.autograd.grad(logits.sum(), leaving)[0]  # [2, 17, 32]
    turned = images.unflatten(2, (4, 7)).flip(2).flatten(2, 3)  # four rows of patches, the last one first
    fixed = (entering[0] == entering[1]).all(dim=-1).nonzero().flatten().tolist()
    reads = gradient.abs().sum(dim=(0, 2)).nonzero().flatten().tolist()
    size, again = read.square().mean().sqrt().item(), torch.equal(model(images), logits)
    shuffled = torch.allclose(model(turned), logits, atol=1e-4)
    return f"{fixed!s:<7}{reads!s:<7}{size:<6.2f}{shuffled!s:<20}{again!s:<12}{count_parameters(model):,}"


# %%
print("patient  fixed  read   size  same when shuffled  same again  parameters")
for letter in "ABCDEFG":
    print(f"{letter:<9}{examine(patient(letter))}")

# %% [markdown]
# ## Exercise: what is wrong with them?
#
# Difficulty 3 of 5, about 15 minutes. Importance 2 of 3. You get the letters of all patients in one string, "ABCDEFG".
# Return a dict, `{"A": "…", "B": "…", …}`, that gives each letter one of these words:
#
# | word | the fault |
# |---|---|
# | `"well"` | none |
# | `"class token"` | it stands behind the patches, and the head still reads token 0 |
# | `"positions"` | they are never added |
# | `"shared"` | all blocks are one and the same block |
# | `"norm"` | the last norm was forgotten |
# | `"head"` | it reads the last patch |
# | `"dropout"` | it works in `eval()` too |
#
# <details><summary>Hint 1</summary>
#
# Go down one column at a time. In most columns one patient differs from all others.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A ViT without positions cannot tell in which order the patches come (lesson 3). Where dropout is on, even the class
# token is never twice the same.
#
# </details>


# %% tags=["exercise"]
def my_diagnoses(patients): ...  # "ABCDEFG" -> {"A": "…", "B": "…", …}


check.clinic(my_diagnoses)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_diagnoses(patients):
    words = ["norm", "well", "class token", "dropout", "positions", "shared", "head"]
    return dict(zip(patients, words, strict=True))


check.clinic(my_diagnoses)

# %% [markdown]
# There is one more instrument, the strongest of all: a model that is known to be right. Give every patient the weights
# of one that is well, and compare the logits.

# %%
torch.manual_seed(0)
images = torch.randn(2, 1, 28, 28)
well = patient("B")
equal = {}
for letter in "ABCDEFG":
    other = patient(letter)
    other.load_state_dict(well.state_dict())
    equal[letter] = torch.allclose(other(images), well(images), rtol=0, atol=1e-5)
print("the same logits:", equal)

# %% [markdown]
# One comparison finds all six, though not what they are. That is why this lesson compared so much with torchvision.

# %% [markdown]
# ## What to remember
#
# 1. The order: patches, class token, positions, L blocks, one more norm, and the head, which reads the class token.
# 2. ViT-B, L and H have about 86, 307 and 632 million parameters. Nearly all sit in the blocks.
# 3. Weights load by name: with torchvision's weights, this model gives torchvision's logits.
# 4. Six parts can be swapped for a class of your own, if it takes and gives the same shapes. The logits of an untrained
#    model mean nothing, however sure they sound.
# 5. Six faults showed neither in a shape nor in the loss on one small batch. Compare with a model that is right.
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
# **Five questions.** Three on this lesson, and two that mix in earlier ones.
#
# <details><summary>In which part of a block can a token learn something about another token?</summary>Only in attention.
# Norm, MLP and the additions work on each token alone.</details>
# <details><summary>You double the number of blocks. What happens to the shape of the output?</summary>Nothing. A block
# gives the shape that it takes.</details>
# <details><summary>Does it matter whether the last norm comes before or after you pick token 0?</summary>No. The norm
# treats each token alone, so it gives the class token the same numbers either way.</details>
# <details><summary>You load weights trained at 224×224 with P = 16 into a model for 384×384. Which one part does not fit, and what
# do you do (lesson 3)?</summary>The positions: 197 rows, and 577 are wanted. Stretch the grid of 14×14 to 24×24 like a
# picture, and keep the class token's row as it is.</details>
# <details><summary>A model says "boot" with 91%. You switch off one head, and it still says boot. Was the head useless (lesson
# 5)?</summary>Not shown. Each head may go alone, and still several together may not.</details>
#
# **Next**: the model is whole. Lesson 8 looks inside one that is trained.
#
# **Read on**: Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words*, section 3.1 and table 1 · He et al. 2016, *Deep
# Residual Learning for Image Recognition*, for the hybrid's stem · Touvron et al. 2021, *Training Data-Efficient Image
# Transformers & Distillation Through Attention* (DeiT) · the code of this lesson: `vit_tutorial/vit.py`.
