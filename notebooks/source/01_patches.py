# %% [markdown]
# # 1 · Patches: an image becomes a sequence
#
# **The question.** A transformer reads a sequence of vectors, as it reads the words of a sentence. A picture is not a
# sequence. It is a grid of pixels. *How does one turn the cat below into a sentence?*
#
# **What you will do**
#
# 1. Cut a 4×4 image into patches by hand, and check the result with a pencil.
# 2. Write the cut twice, with slices and with `einops`. Make tokens of the patches with a linear layer, and show that a
#    convolution does both at once. See what such a layer has learned.
# 3. Count the tokens: how many, how long, and what they cost.
# 4. Take a picture apart, shuffle it, and put it back without losing a pixel.
# 5. Write your own patch embedding, put it into a real Vision Transformer, and train it.
#
# **Time**: 35 minutes, and 45 for the exercises. **You need**: Python, and what a PyTorch tensor is.

# %%
from statistics import fmean

import torch
from torch import nn

from vit_tutorial import PatchEmbedding, ViT, ViTConfig, load_model, patchify, plots, unpatchify
from vit_tutorial.datasets import DATA_FOLDER, load, pictures
from vit_tutorial.evidence import compare, compare_each, judge
from vit_tutorial.exercises import check
from vit_tutorial.explore import PatchLab
from vit_tutorial.introspection import flops_per_image

torch.set_num_threads(1)  # so that repeated runs agree
cat = pictures("chelsea")
print("the cat:", list(cat.shape), cat.dtype)

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 2, size=(9, 4.6))
plots.draw_image(axes[0, 0], cat, "what the camera gives: 224 x 224 pixels")
plots.draw_patches(axes[0, 1], cat, 32, "what the transformer reads: patches, in this order")
plots.show(
    figure, alt="A cat's face, and the same picture cut into 7 by 7 numbered squares, counted row by row from 0 to 48."
)

# %% [markdown]
# The answer in one sentence: **cut the picture into squares, and read the squares from left to right and from top to
# bottom, like words on a page.** Each square is a *patch*. Its pixels, one after the other, are a row of numbers. The
# model makes a vector of that row, and this vector is called a *token*, as for a word. The paper that introduced the
# Vision Transformer (ViT) is called *An Image is Worth 16x16 Words*, after its models with patches of 16×16 pixels.
#
# These letters come back in all lessons:
#
# | letter | meaning | in ViT-B/16, a model of the paper |
# |---|---|---|
# | B | images in a batch | - |
# | C | channels (red, green, blue) | 3 |
# | H, W | height and width in pixels | 224, 224 |
# | P | side of a patch in pixels | 16 |
# | N | number of patches, (H/P) · (W/P) | 14 · 14 = 196 |
# | P·P·C | numbers in a **patch**: P·P pixels of C numbers | 16 · 16 · 3 = 768 |
# | D | numbers in a **token**: a choice of whoever builds the model | 768 |
#
# The last two are different things. In ViT-B/16 they happen to be equal. In ViT-B/32 a patch has 3,072 numbers, and a
# token still 768. (The name: B for *Base*, the size of the model, where L is *Large*; then the side of its patches.)

# %% [markdown]
# ## By hand
#
# We start with an image small enough for a pencil: one channel, 4×4 pixels, numbered 0 to 15.

# %%
tiny = torch.arange(16.0).reshape(1, 1, 4, 4)  # [B, C, H, W]
print(tiny[0, 0].int())

# %% [markdown]
# With P = 2 there are four patches. Take a pencil and write down the four pixels of each one, row by row.
# The first is `0 1 4 5`: two pixels of the top row, then two of the row below.
#
# In code, the naive way cuts out one slice after the other.

# %%
P = 2
slices = []
for row in range(0, 4, P):  # walk down the image
    for column in range(0, 4, P):  # and along each row
        square = tiny[0, 0, row : row + P, column : column + P]
        slices.append(square.flatten())  # P*P numbers
by_slices = torch.stack(slices)  # [N, P*P]
print(by_slices.int())

# %% [markdown]
# Each line is one patch. If your second line was `8 9 12 13`, you walked down first: that is column order. We read row
# by row, as the paper does.

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 2, size=(8, 3.2), width_ratios=[1, 1.2])
plots.draw_matrix(axes[0, 0], tiny[0, 0], "image [4, 4]", decimals=0)
axes[0, 0].axhline(1.5, color="white", linewidth=4)
axes[0, 0].axvline(1.5, color="white", linewidth=4)
plots.draw_matrix(axes[0, 1], by_slices, "patches [N=4, P·P=4]", rows=[f"patch {i}" for i in range(4)], decimals=0)
plots.show(
    figure,
    alt="Left, a 4 by 4 grid of 0 to 15, cut in four. Right, four rows: 0 1 4 5, 2 3 6 7 and so on.",
)

# %% [markdown]
# Could one simply `reshape` the 4×4 image to 4 rows of 4? No. A tensor lies in memory as one long line, row after row.
# Its *strides* say how far apart neighbours are on that line. `reshape` only chooses where to break the line. Four rows
# of four: that is the image as it was.

# %%
print("strides of rows and columns:", tiny[0, 0].stride(), "- one pixel down is 4 numbers further")
print("first line after reshape:", tiny.reshape(4, 4)[0].int().tolist(), "- a row of the image, not a patch")

# %% [markdown]
# In the first patch, 4 comes right after 1. In memory it lies 3 steps further. So every right way to cut an image has a
# step that *moves* numbers.

# %% [markdown]
# ## In code
#
# ### With `einops`: say what you mean
#
# The library `einops` moves axes by name. You write the shape you have and the shape you want:
#
# $$x \in \mathbb{R}^{H \times W \times C} \;\longrightarrow\; x_p \in \mathbb{R}^{N \times (P^2 \cdot C)}
# \qquad \text{(section 3.1 of the paper)}$$
#
# `(h p1)` means: this axis of length H is really two, h rows of patches with p1 pixels each.

# %%
from einops import rearrange

by_einops = rearrange(tiny, "b c (h p1) (w p2) -> b (h w) (p1 p2 c)", p1=P, p2=P)  # [B, N, P*P*C]
print(list(tiny.shape), "->", list(by_einops.shape))
print("same as the slices:", torch.equal(by_einops[0], by_slices))

# %% [markdown]
# On the right, `(h w)` is the order of the patches: h changes slowly, w quickly, so we read row by row. And
# `(p1 p2 c)` is the order inside a patch: row, column, channel.
#
# That one line is the course's `patchify`, apart from checking its input. Here it is on the cat. A model reads a batch
# of images: `cat[None]` puts an axis of length 1 in front, for a batch of one cat.

# %%
patches = patchify(cat[None], patch_size=16)  # [1, 3, 224, 224] -> [1, 196, 768]
print(list(cat[None].shape), "->", list(patches.shape))
print("patches N = (224/16) * (224/16) =", 14 * 14)
print("numbers in each patch = 16 * 16 * 3 =", 16 * 16 * 3)

# %% [markdown]
# The cat has three channels, and `c` comes last inside a patch. So a row begins with the red, green and blue of its
# first pixel, then of the pixel to its right, and so on:

# %%
print("row 0 of the matrix begins:", patches[0, 0, :6].tolist())
print("pixel at the top left:", cat[:, 0, 0].tolist(), " the one to its right:", cat[:, 0, 1].tolist())

# %% [markdown]
# Pixels only moved. So the cut can be undone without losing anything:

# %%
back = unpatchify(patches, image_size=224)
print("every pixel is back in its place:", torch.equal(back[0], cat))

# %% [markdown]
# ### With a linear layer: from pixels to D numbers
#
# A row of 768 numbers is not yet a token. The model multiplies each row by one matrix E, learned in training, the same
# for all patches, and adds a bias b. This is the **patch embedding**:
#
# $$\text{tokens} = x_p\,E + b \qquad E \in \mathbb{R}^{(P^2 \cdot C) \times D}, \quad b \in \mathbb{R}^D
# \qquad \text{(inside equation 1, which leaves out } b\text{)}$$

# %%
torch.manual_seed(0)
x = cat[None].float() / 255  # [1, 3, 224, 224], real numbers from 0 to 1
linear = nn.Linear(16 * 16 * 3, 768)  # E and b
tokens = linear(patchify(x, 16))  # [1, 196, 768] @ [768, 768] -> [1, 196, 768]
print(list(tokens.shape), "= [B, N, D]")

# %% [markdown]
# ### With a convolution: the libraries' way
#
# torchvision, timm, Hugging Face and Google's own code write this step as a **convolution**. A convolution lays a small
# table of numbers, a **filter** or **kernel**, on the image, multiplies number by number, and adds up. Then the filter
# moves on. How far it jumps is its *stride*.
#
# Take the pencil once more. The filter is `1 2` above `0 −1`, and it jumps 2 pixels. On the first patch of our 4×4
# image, `0 1` above `4 5`, it gives 0·1 + 1·2 + 4·0 + 5·(−1) = −3. Do the other three patches.

# %%
one_filter = torch.tensor([[1.0, 2.0], [0.0, -1.0]])  # [P, P]
found = nn.functional.conv2d(
    tiny, one_filter[None, None], stride=2
)  # [1, 1, 4, 4] and [D=1, C=1, P, P] -> [1, 1, 2, 2]
print(found[0, 0].int())
print("a column of four numbers does the same:", (by_slices @ one_filter.flatten()).int().tolist())

# %% [markdown]
# One filter makes one number of each patch. So it is one column of E, laid out as a square. D filters make D numbers: a
# token. With P×P pixels, P as the stride, and all channels, that is the patch embedding. (`nn.Linear` keeps E
# transposed: there a filter is one *row* of `linear.weight`.) We copy the numbers over and compare.

# %%
embedding = PatchEmbedding(image_size=224, patch_size=16, in_channels=3, dim=768)
print(embedding.proj)

with torch.no_grad():  # E holds pixels as (p1 p2 c); a Conv2d holds its kernel as (c, p1, p2)
    embedding.proj.weight.copy_(rearrange(linear.weight, "d (p1 p2 c) -> d c p1 p2", p1=16, p2=16))
    embedding.proj.bias.copy_(linear.bias)

difference = (embedding(x) - tokens).abs().max().item()
print(f"largest difference below 0.00001: {difference < 1e-5}")

# %% [markdown]
# The convolution gives a grid, [B, D, 14, 14]. `PatchEmbedding` flattens it and swaps two axes, so that a token is a
# row: [B, N, D]. Apart from its checks, that is its whole `forward`:

# %%
grid = embedding.proj(x)  # [B, C, H, W] -> [B, D, H/P, W/P]
rows = grid.flatten(2).transpose(1, 2)  # -> [B, D, N] -> [B, N, D]
print(list(x.shape), "->", list(grid.shape), "->", list(rows.shape), " same:", torch.equal(rows, embedding(x)))

# %% [markdown]
# ### What such a layer learns
#
# A filter has as many numbers as a patch, so it can be drawn as one. Here are 64 of the 128 filters of the course's
# model of photographs, those with the largest numbers. Its patches are 4×4. Below, the same layer before training.

# %% jupyter={"source_hidden": true}
photographs = load_model(DATA_FOLDER / "vit_cifar10.safetensors")
torch.manual_seed(0)
beginner = ViT(photographs.config)
filters = {
    name: model.patch_embed.proj.weight.detach() for name, model in (("trained", photographs), ("untrained", beginner))
}  # [D, C, P, P] each


def mosaic(weight):  # 4 rows of 16 filters, the one with the largest numbers first
    largest = weight[weight.flatten(1).norm(dim=1).argsort(descending=True)[:64]]
    grey_is_zero = 0.5 + largest / largest.abs().amax(dim=(1, 2, 3), keepdim=True) / 2
    framed = nn.functional.pad(grey_is_zero, (0, 1, 0, 1), value=1.0)
    return rearrange(framed, "(rows columns) c h w -> c (rows h) (columns w)", columns=16)


figure, axes = plots.new_figure(2, 1, size=(9, 5.2))
for ax, (name, weight) in zip(axes[:, 0], filters.items(), strict=True):
    plots.draw_image(ax, mosaic(weight), name)
plots.show(
    figure,
    alt="Above, 64 trained filters of 4 by 4 pixels: many are light on one side and dark on the other, or go from one colour to another. Below, 64 untrained filters: every pixel has a colour of its own.",
    caption="Grey is 0. Each filter has its own scale of colours.",
)

# %% [markdown]
# Above, pixels that share a side seem to go together. Below, noise. Do we see what we want to see? We take all pairs of
# pixels that share a side, in all filters, and compute their *correlation*: 1 if the two always go together, and 0 if
# they have nothing to do with each other. As a control, all other pairs: in a filter of one colour, these go together
# too.
#
# A verdict that begins with *TRUE IF* names the case in which the sentence is right. The brackets name the case in
# which it is wrong.


# %%
def together(weight, pairs):  # [D, C, P, P], and which of the P² pixels make a pair, [P², P²] -> the correlation
    one, other = pairs.nonzero(as_tuple=True)
    pixels = weight.flatten(2).permute(2, 0, 1)  # [P², D, C]
    return torch.corrcoef(torch.stack([pixels[one].flatten(), pixels[other].flatten()]))[0, 1].item()


row, column = torch.arange(16) // 4, torch.arange(16) % 4  # of each pixel of a filter
steps = (row[:, None] - row).abs() + (column[:, None] - column).abs()  # [16, 16]: from pixel to pixel
alike = {name: (together(weight, steps == 1), together(weight, steps > 1)) for name, weight in filters.items()}
for name, (side, others) in alike.items():
    print(f"{name:<10} pixels that share a side {side:.2f}   all other pairs {others:.2f}")
smooth = {f"the model is {name}": side - others > 0.2 for name, (side, others) in alike.items()}
print(judge(smooth, "pixels that share a side go together more closely than others, by more than 0.2", holds="if"))

# %% [markdown]
# Nobody told the model what lies beside what in a patch. Its filters learned it from the pictures.
#
# ### What a ViT gives up
#
# A **CNN** is a network of many convolutions with small windows. Its build says two things about pictures before it has
# seen any. What belongs together lies close together: each filter looks at a small window. And a thing is the same
# thing wherever it stands: the same filter goes everywhere, pixel by pixel. A ViT has one convolution, and it jumps.
# Watch what becomes of the tokens if the picture moves to the right. (What falls off at the edge comes back on the
# left.)

# %%
with torch.no_grad():
    tokens = embedding(x)[0]  # [196, 768]
    for pixels in (16, 1):
        moved = embedding(x.roll(pixels, dims=-1))[0]
        distance = torch.cdist(moved, tokens, compute_mode="donot_use_mm_for_euclid_dist")  # [196, 196]
        found = int((distance.amin(dim=1) < 0.001).sum())
        print(f"moved by {pixels:>2}: {found} of 196 tokens are among those of before")
    small_steps = nn.Conv2d(3, 8, kernel_size=3, padding=1, padding_mode="circular")  # stride 1, as in a CNN
    same = torch.allclose(small_steps(x.roll(1, dims=-1)), small_steps(x).roll(1, dims=-1), atol=1e-5)
print("a convolution with stride 1: moved by 1, all its numbers move along:", same)

# %% [markdown]
# So a picture moved by one pixel is a set of new tokens for a ViT. And after this layer nothing in it says which
# patches are neighbours: that is left to training (lesson 3). In return every patch can reach every other in one step.
# Is this a good bargain? Lesson 9 has both compete.
#
# ### What the tokens cost
#
# In a transformer every token is compared with every token (lesson 4 says how). N tokens make a table of **N×N**
# numbers. ViT-B has 12 layers, and 12 such tables in each, one for each *head* (lesson 5). A head makes 64 numbers of
# its own out of each token: 12 · 64 = 768 = D.
#
# * **Memory.** One layer: 12 tables of N·N numbers, 4 bytes each.
# * **Work.** To fill a cell of a table takes 64 multiplications and 64 additions. To use the table takes as many again.
#   One multiplication or addition is a *FLOP*. (MFLOP is a million of them, GFLOP a thousand million, TFLOP a million
#   million.) So one layer takes 12 · N·N · 4 · 64 = **4 · N² · D** FLOPs.


# %%
def attention_cost(number, dim=768, heads=12, layers=12):
    """Bytes of the N×N tables of one layer, and FLOPs of the N×N part in all layers, for one image."""
    return 4 * heads * number**2, 4 * number**2 * dim * layers


memory, flops = attention_cost(196)
print(f"ViT-B/16, one image: tables of {memory / 1e6:.2f} MB in a layer, {flops / 1e9:.2f} GFLOP in 12 layers")

# %% [markdown]
# This is the part that grows with N². Nearly all other work of the model grows with N. The patch embedding's own stays
# the same, however the picture is cut.

# %% [markdown]
# ## In a picture you can touch
#
# Click the picture, then use the arrow keys; or use the mouse. *More*, or the key `m`, shows the memory of the tables,
# the matrix, and the picture put back together. Say what you expect before you do something.
#
# 1. Halve the **patch size**. What happens to the number of patches, to the numbers in each, to the memory
#    of the tables?

# %%
PatchLab({"cat": cat} | {name: pictures(name) for name in ("coffee", "astronaut")}, patch_size=32)

# %% [markdown]
# 2. Move over the eye on the left of the picture. Which **rows of the matrix** is it made of? How far apart do they
#    lie, and why?
# 3. Change the **order** to *column by column*. Which rows move, and which stay?
# 4. **Shuffle**, and look at the error. Then put the patches back *row by row*. Who knew where each patch belongs?
#
# <details><summary>What there was to see</summary>
#
# 1. Four times the patches, each with a quarter of the numbers: none is added or lost. The tables take 16 times the
#    memory.
# 2. With P = 32, rows 15 and 16, and below them 22 and 23. One patch to the right is the next row of the matrix. One
#    patch further down is a whole row of the grid further: 7 rows.
# 3. The rows are the same, in another order. Those on the diagonal of the grid stay where they are.
# 4. The error is 0 as long as the order is remembered. The patches themselves do not know it: laid down row by row they
#    give a puzzle. The model has the same trouble, and lesson 3 cures it.
#
# </details>

# %% [markdown]
# ## Claims, tested
#
# You will read the following sentences in notes about ViT. Here they are run.
#
# ### "An H×W image gives N = HW/P² tokens"
#
# We cut images of many shapes, count, and put them together again.

# %% tags=["claim-P1"]
shapes = [(224, 224, 3, 16), (384, 384, 3, 16), (32, 32, 3, 4), (28, 28, 1, 7), (48, 96, 3, 8), (10, 15, 2, 5)]
print(f"{'H':>5}{'W':>5}{'C':>3}{'P':>5}{'HW/P²':>8}{'N':>8}{'P·P·C':>8}   round trip")
right = {}
for height, width, channels, size in shapes:
    whole = torch.rand(2, channels, height, width)
    cut = patchify(whole, size)
    same = torch.equal(unpatchify(cut, (height, width), channels), whole)
    formula = height * width // size**2
    print(f"{height:>5}{width:>5}{channels:>3}{size:>5}{formula:>8}{cut.shape[1]:>8}{cut.shape[2]:>8}   {same}")
    right[f"{height}x{width}"] = same and cut.shape[1] == formula
print(judge(right, "N is HW/P², where both sides are multiples of P"))

# %% [markdown]
# What if they are not? The package says what to do:

# %%
try:
    patchify(torch.zeros(1, 3, 30, 28), 4)
except ValueError as error:
    print(error)

# %% [markdown]
# ### "The linear projection is the same as a convolution with kernel = stride = P"
#
# You have seen that the two differ by less than 0.00001. Is rounding all there is? Then the difference must shrink when
# we keep more digits. A `float32` keeps about 7, a `float64` about 16. (1e-5 is 0.00001, and 1e-13 has twelve zeros
# after the point.)

# %% tags=["claim-P2"]
from copy import deepcopy

in_32 = (embedding(x) - linear(patchify(x, 16))).abs().max().item()
embedding64, linear64, x64 = deepcopy(embedding).double(), deepcopy(linear).double(), x.double()
in_64 = (embedding64(x64) - linear64(patchify(x64, 16))).abs().max().item()
print(f"largest difference in float32 below 1e-5: {in_32 < 1e-5},  in float64 below 1e-13: {in_64 < 1e-13}")
print(judge(in_32 < 1e-5 and in_64 < 1e-13, "the two are the same, up to rounding: the last bits need not agree"))

# %% [markdown] tags=["extra"]
# *Extra: why not to the last bit?* Every sum is rounded, so the **order** of a sum can matter. A matrix product and a
# convolution may add the 768 products of a token's number in different orders. Below, two small sums, and one number of
# a token added from the left and from the right.

# %% tags=["extra"]
big, one = torch.tensor([1e8, 1.0])
print("(1 + 100000000) - 100000000 =", (one + big - big).item())
print("1 + (100000000 - 100000000) =", (one + (big - big)).item())
products = (patchify(x, 16)[0, 0] * linear.weight[0]).detach()  # 768 of them
left, right = torch.tensor(0.0), torch.tensor(0.0)
for product in products:
    left = left + product
for product in products.flip(0):
    right = right + product
print("same to the last bit:", torch.equal(left, right))
print("differ by less than 0.000001:", abs(left - right).item() < 1e-6)

# %% [markdown] tags=["extra"]
# ### "The linear projection is the same as a 1×1 convolution"
#
# *Extra.* A 1×1 convolution on the *image* mixes the channels of single pixels, and keeps all 50,176 of them.

# %% tags=["extra"]
pixelwise = nn.Conv2d(3, 768, kernel_size=1).double()
on_image = pixelwise(x64[:, :, :32, :32])  # a corner of the cat
print("1x1 on 32x32 pixels:", list(on_image.shape), "=", on_image[0, 0].numel(), "vectors; patches of 16 would give 4")

# %% [markdown] tags=["extra"]
# It is another matter once the image has been cut. Put the rows of the matrix back on the grid, each with its 768
# numbers as channels. Now a 1×1 convolution does what the linear layer does.

# %% tags=["extra", "claim-P3"]
grid = rearrange(patchify(x64, 16), "b (h w) k -> b k h w", h=14)  # [1, 768, 14, 14]
one_by_one = nn.Conv2d(768, 768, kernel_size=1).double()
with torch.no_grad():
    one_by_one.weight.copy_(linear64.weight[:, :, None, None])
    one_by_one.bias.copy_(linear64.bias)
difference = (one_by_one(grid).flatten(2).transpose(1, 2) - linear64(patchify(x64, 16))).abs().max().item()
print(f"1x1 on the grid of patches: largest difference to the linear layer below 1e-13: {difference < 1e-13}")
where = {"on the grid of patches": difference < 1e-13, "on the image": on_image[0, 0].numel() == 4}
print(judge(where, "a 1×1 convolution makes the tokens", holds="if"))

# %% [markdown]
# ### "Pixels as tokens are out of the question: 50,176 tokens at 224×224"
#
# We count with the formulas from above, for ViT-B and one image.

# %%
sizes = (32, 16, 8, 4, 2, 1)
numbers = [(224 // size) ** 2 for size in sizes]
print(f"{'P':>4}{'tokens N':>10}{'table N·N':>16}{'memory, 1 layer':>18}{'FLOPs for it, 12 layers':>25}")
for size, number in zip(sizes, numbers, strict=True):
    memory, flops = attention_cost(number)
    print(f"{size:>4}{number:>10,}{number**2:>16,}{memory / 1e6:>15,.1f} MB{flops / 1e9:>19,.1f} GFLOP")
whole = [flops_per_image(ViTConfig(patch_size=size)) / 1e9 for size in (16, 8)]
times = whole[1] / whole[0]
print(f"the whole model: {whole[0]:.0f} GFLOP at P = 16, and {whole[1]:.0f} at P = 8, {times:.1f} times as many")

# %% tags=["claim-P4"]
pixels_large, pixels_small = attention_cost(224 * 224)[0], attention_cost(28 * 28)[0]
print(f"P = 1 at 224x224: {pixels_large / 1e9:.0f} GB a layer.  P = 1 at 28x28: {pixels_small / 1e6:.0f} MB a layer.")
card = 80e9  # bytes of a GPU of 80 GB; training keeps the tables of all 12 layers
too_large = {"at 224x224": 12 * pixels_large > card, "at 28x28": 12 * pixels_small > card}
print(judge(too_large, "the tables of one image do not fit a GPU of 80 GB", holds="if"))

# %% [markdown]
# Halve P, and you get 4 times the tokens and 16 times the table. The work of the whole model grows to a little more
# than 4 times, since most of it grows with N (lesson 4 counts it). Many papers count a multiplication and its addition
# as one: half of our FLOPs. Lesson 4 meets an algorithm that never stores the table.

# %% [markdown] tags=["extra"]
# *Extra.* Does it really happen so? We ask the table for its size, and the clock for the time. The function below is
# the one that lesson 4 builds: three vectors of 64 numbers for each token go in, and the table comes out.

# %% tags=["extra"]
import time

from vit_tutorial import scaled_dot_product_attention


def measure(number, repeats=5):
    """Bytes of one N×N table, and seconds of the fastest of a few runs."""
    q, k, v = torch.rand(3, number, 64)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        _, table = scaled_dot_product_attention(q, k, v)
        seconds.append(time.perf_counter() - start)
    return table.nbytes, min(seconds)


some, many = measure(784), measure(3136)  # P = 8 and P = 4: 4 times the tokens
print("4 times the tokens take", many[0] // some[0], "times the memory")
print("and more than 8 times the time:", many[1] > 8 * some[1])

# %% tags=["extra"]
figure, axes = plots.new_figure(1, 3, size=(11, 3.4))
memory, flops = zip(*(attention_cost(n) for n in numbers), strict=True)
seconds = [measure(n)[1] for n in numbers[:4]]  # P = 32 to P = 4
axes[0, 0].plot(sizes, [m / 1e9 for m in memory], "o-", color=plots.BLUE)
axes[0, 1].plot(sizes, [f / 1e12 for f in flops], "o-", color=plots.ORANGE)
axes[0, 2].plot(sizes[:4], seconds, "o-", color=plots.GREEN, label="one table")
axes[0, 2].plot(sizes[:4], [seconds[2] * (8 / P) ** 4 for P in sizes[:4]], "k--", label="if exactly N²")
axes[0, 2].legend(frameon=False)
titles = {"counted: memory, one layer": "GB", "counted: their work, 12 layers": "TFLOP", "measured here": "seconds"}
for ax, (title, unit) in zip(axes[0], titles.items(), strict=True):
    ax.set(title=title, xlabel="patch size P", ylabel=unit, xscale="log", yscale="log")
    ax.set_xticks(sizes, sizes)
    ax.minorticks_off()
    ax.grid(alpha=0.3)
plots.show(
    figure,
    alt="Memory, work and measured time against P, on log scales: all fall steeply; a dashed line beside the time falls as N².",
    caption="Each step up is a factor of 10. A straight line is a power of P, here P to the -4.",
)

# %% [markdown] tags=["extra"]
# Is the point at P = 4 above the dashed line? Then a table of 3,136 × 3,136 numbers, 39 MB, has outgrown the small fast
# memory next to the processor, and every look at it takes longer. (At P = 32 most of the time is that of the call
# itself.)

# %% [markdown]
# ### "Smaller patches keep detail and cost more; larger ones are cheap and coarse"
#
# Is the detail worth its cost? To answer that one must train. The course did: a small ViT on 28×28 pictures of clothes,
# with several patch sizes, each from several random starts (*seeds*). An *epoch* is one pass over the training
# pictures, and *parameters* are the numbers that training changes. The *learning rate* is how large a step of training
# is: each size was tried at four, and got the one that was best for it on pictures kept for that, the *validation*
# pictures. The tokens counted below are the patches and one more, the class token of lesson 2.

# %% jupyter={"source_hidden": true}
from vit_tutorial.studies import load_study

study = load_study("patch_size")
print("made by:", study.command)
print(f"{study.settings['training']['epochs']} epochs of {study.data['training']:,} images, seeds {study.seeds}")
means, losses = {}, {}
print("patch size  tokens  parameters  MFLOP an image  rate   training loss  test accuracy: mean, lowest, highest")
for name, values in study.accuracies().items():
    row, means[name] = study.variants[name], fmean(values)
    losses[name] = fmean(curve["train_loss"][-1] for curve in study.values("curve")[name])
    print(
        f"{name:>10}{row['tokens']:>8}{row['parameters']:>12,}{row['flops'] / 1e6:>16.2f}"
        f"{study.scores(name).rate.value:>6g}{losses[name]:>16.2f}"
        f"{means[name]:>22.1%}{min(values):>8.1%}{max(values):>9.1%}"
    )

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 2, size=(10, 3.4))
plots.draw_spread(axes[0, 0], study.accuracies(), xlabel="test accuracy, one point per seed")
flops = [row["flops"] / 1e6 for row in study.variants.values()]
milliseconds = {name: 1000 * seconds for name, seconds in study.seconds_per_image().items()}
axes[0, 1].plot(flops, list(milliseconds.values()), "o-", color=plots.BLUE)
for work, (name, value) in zip(flops, milliseconds.items(), strict=True):
    axes[0, 1].annotate(name, (work, value), xytext=(0, 8), textcoords="offset points", ha="center", fontsize=9)
axes[0, 1].set(xlabel="MFLOP for one image", ylabel="ms of training for one image", xscale="log", yscale="log")
axes[0, 1].set_xticks(flops, [f"{work:.2f}" for work in flops])
axes[0, 1].set_yticks([0.05, 0.1, 0.2, 0.4], ["0.05", "0.1", "0.2", "0.4"])
axes[0, 1].minorticks_off()
axes[0, 1].margins(0.15)
axes[0, 1].grid(alpha=0.3)
plots.show(
    figure,
    alt=f"Left, the test accuracy of each seed for {', '.join(means)}. Right, the time of training grows with the FLOPs.",
)

# %% [markdown]
# Look at the single points before you believe a mean: where the points of two patch sizes overlap, a small difference
# of their means says nothing.
#
# On these pictures smaller patches did not help; the smallest are behind the largest. Why? Look at the training loss,
# which says how badly a model does on the very pictures it is trained on. The two finest seem to fit even those less
# well. A model that cannot even fit the pictures it has would gain little from more of them. It may need longer
# training, or more parameters. And look at the parameters: the coarsest model has the most, because its E has 784 rows.
# "Cheap" is a matter of what one counts.
#
# 28×28 pixels also hold little detail that could get lost. What about large photographs? The four models below were
# trained on the 1.3 million of ImageNet alone; torchvision notes with their weights how well they do there. ViT-B/16
# and ViT-B/32 had the same recipe but for the random changes of the pictures. ViT-L/16 and ViT-L/32 differ in much more
# than P.

# %%
from torchvision.models import ViT_B_16_Weights, ViT_B_32_Weights, ViT_L_16_Weights, ViT_L_32_Weights

published = {}
for weights in (ViT_B_16_Weights, ViT_B_32_Weights, ViT_L_16_Weights, ViT_L_32_Weights):
    _, size, patch = weights.__name__.removesuffix("_Weights").split("_")
    published[f"ViT-{size}/{patch}"] = weights.IMAGENET1K_V1.meta["_metrics"]["ImageNet-1K"]["acc@1"]
print("ImageNet, % right:", {name: round(value, 1) for name, value in published.items()})

# %% tags=["claim-P5"]
names = list(means)  # from the largest patches to the smallest
coarsest, finest = names[0], names[-1]
times = study.variants[finest]["flops"] / study.variants[coarsest]["flops"]
ends = {name: [curve["train_loss"][-1] for curve in study.values("curve")[name]] for name in names}  # of each seed
finer = {f"{name} against {names[1]}": (ends[name], ends[names[1]]) for name in names[2:]}
photographs = all(published[f"ViT-{size}/16"] > published[f"ViT-{size}/32"] for size in "BL")
print(f"from {coarsest} to {finest}: {times:.0f} times the FLOPs")
print(judge(times > 1, "smaller patches cost more"))
print("on photographs, 16 is better than 32 in what was published, one training each:", photographs)
print(compare_each(finer, "on clothes, the two finest sizes leave a higher training loss than 14 × 14"))
print(compare(study.scores(finest), study.scores(coarsest), "the smallest patches are more accurate on clothes"))

# %% [markdown]
# The lines with an interval come from one function, as do all verdicts about trainings in this course. It takes the
# difference for each seed, and says where the mean difference of many more seeds is likely to lie: the *95% interval*
# is drawn so that it holds this mean in 95 of 100 such studies. (Where two are judged together, the clearer one has
# to pass a wider interval, here 97.5%. Lesson 3 says why.) Only if the whole interval lies on one side of 0 is the
# claim TRUE or FALSE. Otherwise it is NOT SHOWN: neither right nor wrong, for all we know. (P = 28 did best at the
# smallest of its four rates: hence the last words of the last verdict. A still smaller rate might make it better, and
# this verdict only clearer.)

# %% [markdown]
# For the exercises, here is the same model on 1,500 pictures and two epochs. (The coming lessons build `ViT` and `fit`,
# the model and its training, part by part.)

# %%
from dataclasses import replace

from vit_tutorial.training import TrainingConfig, evaluate, fit

clothes = load("fashion_mnist")
handful = replace(clothes, train_images=clothes.train_images[:1500], train_labels=clothes.train_labels[:1500])
moment = TrainingConfig(epochs=2, batch_size=50, validation_fraction=0, device="cpu")


def small_vit(patch_size, **parts):
    torch.manual_seed(0)
    config = ViTConfig(28, patch_size, in_channels=1, num_classes=10, **study.settings["model"])
    return ViT(config, **parts)


# %% [markdown] tags=["extra"]
# ### "Large patches see more *globally*, small ones may miss the whole"
#
# *Extra.* On how many of the 784 pixels does the token of the first corner depend? Those have a
# gradient (how much the token changes when the pixel does) that is not 0.

# %% tags=["extra", "claim-P7"]
misses = {}
for size in (14, 7, 4):
    for stage in ("position", "blocks.0"):  # before the first block, and after it
        pixels = torch.rand(1, 1, 28, 28, requires_grad=True)
        small_vit(size).forward_intermediates(pixels)[stage][0, 1].square().sum().backward()
        print(f"P = {size:>2}, {stage:<9} depends on {int(pixels.grad.count_nonzero())} pixels")
    misses[f"P = {size}"] = not pixels.grad.all()
claim = "after one block the token still misses part of the picture, with large patches or with small ones"
print(judge(any(misses.values()), claim))

# %% [markdown] tags=["extra"]
# In the first block every token looks at every other, whatever P is.
#
# ### "Larger patches make any resolution affordable"
#
# *Extra.* Before ViT, Cordonnier et al. (2020) took patches of 2×2, which "makes the model applicable only to
# small-resolution images" (section 2 of the ViT paper). Larger patches move the limit. Do they take it away? We count
# the tables of the 12 layers of ViT-B again, for one image and the same GPU of 80 GB.

# %% tags=["extra", "claim-P8"]
fits = {}
for side, size in ((32, 2), (224, 2), (224, 16), (3584, 16)):
    number = (side // size) ** 2
    memory = 12 * attention_cost(number)[0]
    fits[f"P = {size} at {side}x{side}"] = memory < card
    print(f"{side:>5} pixels, P = {size:>2}: {number:>6,} tokens, tables of {memory / 1e9:>8,.1f} GB")
claim = "at 224x224 the tables of one image fit a GPU of 80 GB with P = 16, and do not with P = 2"
print(judge(fits["P = 16 at 224x224"] and not fits["P = 2 at 224x224"], claim))
print(judge(fits["P = 16 at 3584x3584"], "with P = 16 they fit at 3584x3584 too"))

# %% [markdown]
# ## Exercise: how many, and how long
#
# Difficulty 1 of 5, about 3 minutes. Importance 3 of 3. (3: later lessons build on it. 2: it is the heart of this
# lesson. 1: it goes further, and may wait.) Return two numbers: how many patches there are, and how many numbers each
# patch has (not the token that is made of it). Replace the three dots, run the cell, and read what the check says.
#
# <details><summary>Hint 1</summary>
#
# How many patches fit side by side? How many rows of them are there?
#
# </details>
# <details><summary>Hint 2</summary>
#
# One patch is a small picture of its own: P pixels high, P pixels wide, and C numbers for each pixel.
#
# </details>


# %% tags=["exercise"]
def my_sequence_shape(height, width, P, channels): ...  # return num_patches, numbers_per_patch


check.sequence_shape(my_sequence_shape)

# %% [markdown]
# The solution is in the next cell, folded.


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_sequence_shape(height, width, P, channels):
    num_patches = (height // P) * (width // P)
    return num_patches, P * P * channels


check.sequence_shape(my_sequence_shape)

# %% [markdown]
# ## Exercise: write `patchify`
#
# Difficulty 2 of 5, about 10 minutes. Importance 3 of 3. Use `reshape` and `permute` only, no `einops`. The check's
# small images are numbered, as the one above, so its "expected" and "got" show which pixel went where.
#
# <details><summary>Hint 1</summary>
#
# An axis of length H is h groups of P pixels. `reshape` can split it: `[B, C, h, P, w, P]`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Now put the six axes in the order you want in the end: `B, h, w, P, P, C`. That is one `permute`. Then one `reshape`
# glues h and w into N, and P, P, C into one row.
#
# </details>


# %% tags=["exercise"]
def my_patchify(images, P):
    B, C, H, W = images.shape
    ...  # return patches of shape [B, N, P*P*C]


check.patchify(my_patchify)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_patchify(images, P):
    B, C, H, W = images.shape
    split = images.reshape(B, C, H // P, P, W // P, P)  # [B, C, h, P, w, P]
    ordered = split.permute(0, 2, 4, 3, 5, 1)  # [B, h, w, P, P, C]
    return ordered.reshape(B, (H // P) * (W // P), P * P * C)


check.patchify(my_patchify)

# %% [markdown]
# ## Exercise: put it back
#
# Difficulty 3 of 5, about 8 minutes. Importance 1 of 3. Write the inverse: patches go in, images come out. Every step
# of `patchify` can be undone, the last one first.
#
# <details><summary>Hint 1</summary>
#
# First the shape: split N into h and w, and each row into P, P, C. How large is C? A row has P·P·C numbers.
#
# </details>
# <details><summary>Hint 2</summary>
#
# You now have `[B, h, w, P, P, C]`. To glue h and P into H they must stand side by side, and so must w and P:
# `[B, C, h, P, w, P]`.
#
# </details>


# %% tags=["exercise"]
def my_unpatchify(patches, P, height, width):
    B, N, numbers = patches.shape
    ...  # return images of shape [B, C, height, width]


check.unpatchify(my_unpatchify)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_unpatchify(patches, P, height, width):
    B, N, numbers = patches.shape
    split = patches.reshape(B, height // P, width // P, P, P, numbers // (P * P))  # [B, h, w, P, P, C]
    ordered = split.permute(0, 5, 1, 3, 2, 4)  # [B, C, h, P, w, P]
    return ordered.reshape(B, -1, height, width)


check.unpatchify(my_unpatchify)

# %% [markdown]
# ## Exercise: your own patch embedding, in a real ViT
#
# Difficulty 3 of 5, about 12 minutes. Importance 3 of 3. Write the class that turns images into tokens. It is built as
# `MyPatchEmbedding(image_size, patch_size, in_channels, dim)`, and it has one learned layer, with a bias: a convolution
# as the library has it, or your `my_patchify` and an `nn.Linear`. Both are right.
#
# <details><summary>Hint 1</summary>
#
# `nn.Conv2d(in_channels, dim, kernel_size=..., stride=...)`. The kernel must cover one patch and then jump to the next.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The convolution returns `[B, D, h, w]`. `flatten(2)` glues all axes from the third on: `[B, D, N]`. Which two axes
# are still in the wrong order?
#
# </details>


# %% tags=["exercise"]
class MyPatchEmbedding(nn.Module):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__()
        ...  # the learned layer

    def forward(self, images):
        # [B, C, H, W] -> [B, N, D]
        ...


check.patch_embedding(MyPatchEmbedding)

# %% [markdown]
# Now `ViT` takes your class in place of its own, and trains it with everything else, for a few seconds.

# %%
if check.patch_embedding(MyPatchEmbedding).passed:
    model = small_vit(7, patch_embed=MyPatchEmbedding)
    fit(model, handful, moment, progress=False)
    score = evaluate(model, clothes.test_images, clothes.test_labels).accuracy
    print(
        f"a ViT with your patch embedding: {score:.0%} of the test pictures right after two epochs; guessing gives 10%"
    )
else:
    print("MyPatchEmbedding does not pass its check yet. Finish it above, run its cell, and come back to this one.")

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
class MyPatchEmbedding(nn.Module):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, images):
        grid = self.proj(images)  # [B, D, h, w]
        return grid.flatten(2).transpose(1, 2)  # [B, N, D]


check.patch_embedding(MyPatchEmbedding)

# %% [markdown]
# ## Exercise: let the patches overlap
#
# Difficulty 4 of 5, about 10 minutes. Importance 1 of 3. A cut through the cat's eye puts its two halves into different
# patches. Some later models therefore let patches overlap: the squares still have P pixels a side, but the next one
# begins only `stride` pixels further, with stride < P. Squares that would stick out are left out. With stride = P it
# must be `patchify`.
#
# <details><summary>Hint 1</summary>
#
# In one direction the squares begin at 0, stride, 2·stride and so on. The last one may begin at H - P.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The naive way from the beginning of this lesson does it: two loops over `range(0, H - P + 1, stride)`, and a slice of
# all images at once, `[B, C, P, P]`. Move its channels to the end before you flatten it. (There is a way without loops
# too: look up `Tensor.unfold`.)
#
# </details>


# %% tags=["exercise"]
def my_overlapping_patches(images, P, stride):
    B, C, H, W = images.shape
    ...  # return patches of shape [B, N, P*P*C]


check.overlapping_patches(my_overlapping_patches)

# %% [markdown]
# The solution, folded:


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_overlapping_patches(images, P, stride):
    B, C, H, W = images.shape
    windows = images.unfold(2, P, stride).unfold(3, P, stride)  # [B, C, h, w, P, P]
    ordered = windows.permute(0, 2, 3, 4, 5, 1)  # [B, h, w, P, P, C]
    return ordered.reshape(B, windows.shape[2] * windows.shape[3], P * P * C)


check.overlapping_patches(my_overlapping_patches)

# %% [markdown]
# What does the overlap cost? With P = 16 and stride 8 there are 27 places in each direction:

# %%
side = len(range(0, 224 - 16 + 1, 8))
memory_of = {number: attention_cost(number)[0] for number in (196, side**2)}
print(f"tokens: 196 -> {side**2}; memory of the tables: {memory_of[side**2] / memory_of[196]:.1f} times as much")

# %% [markdown]
# ## What to remember
#
# 1. An image becomes a sequence of N = (H/P)·(W/P) patches, read row by row.
# 2. Cutting only moves pixels. It can be undone exactly, as long as the order is remembered.
# 3. One learned matrix turns each patch, P·P·C numbers, into a token of D numbers. The tokens themselves do not say
#    what lies beside what (lesson 3).
# 4. A convolution with kernel = stride = P does both steps at once, and gives the same numbers up to rounding.
# 5. Halving P makes 4 times the tokens and 16 times the attention table. What it buys must be measured.
#
# | step | shape | ViT-B/16 |
# |---|---|---|
# | images | [B, C, H, W] | [B, 3, 224, 224] |
# | `patchify` | [B, N, P·P·C] | [B, 196, 768] |
# | or: convolution, kernel = stride = P | [B, D, H/P, W/P] | [B, 768, 14, 14] |
# | patch embedding | [B, N, D] | [B, 196, 768] |
#
# **Five questions.** Three on this lesson, and two on lesson 0.
#
# <details><summary>A 384×384 image, P = 16: how many tokens, and how much larger is the table than at 224×224?</summary>
# 24 · 24 = 576 tokens. The table has (576/196)² ≈ 8.6 times as many cells.</details>
# <details><summary>Does the patch embedding know where in the image a patch was?</summary>No. It sees each patch
# alone, with the same matrix. Lesson 3 is about this.</details>
# <details><summary>How many parameters does the patch embedding of ViT-B/16 have? And of ViT-B/32?</summary>768 · 768 weights
# and 768 biases: 590,592. With P = 32 a row is four times as long: 3,072 · 768 + 768 = 2,360,064. With larger patches
# the embedding has more parameters for the same work, and the rest of the model has fewer tokens to work on.</details>
# <details><summary>Three logits are 2, 1 and 0. You double all three. What becomes of the answer, and of the probability 0.67
# (lesson 0)?</summary>The answer stays: the largest is still the largest. Its probability grows to 54.6 / (54.6 + 7.4 + 1) = 0.87.
# Adding the same number to all would have changed nothing.</details>
# <details><summary>A model of ten kinds of clothes gets an empty square, and says "sandal, 79%". Is the square like a sandal
# (lesson 0)?</summary>That does not follow. "Nothing" is not among its ten answers, and their probabilities always add up to
# 100%.</details>
#
# **Next**: the tokens are there, but which of them should answer for the whole image? Lesson 2 adds one for that.
#
# **Read on**: Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words*, section 3.1 (the cut and the embedding) and
# figure 7, left (what the embedding learns) · Yuan et al. 2021, *Tokens-to-Token ViT* (overlapping patches) ·
# Cordonnier, Loukas and Jaggi 2020, *On the Relationship between Self-Attention and Convolutional Layers* (patches of
# 2×2) · the code of this lesson: `vit_tutorial/patches.py`.
