# %% [markdown]
# # 1 · Patches: an image becomes a sequence
#
# **The question.** A transformer reads a sequence of vectors, as it reads the words of a sentence. A picture is not a
# sequence. It is a grid of pixels. *How does one turn the cat below into a sentence?*
#
# **What you will do**
#
# 1. Cut a 4×4 image into patches by hand, and check the result with a pencil.
# 2. Write the same cut in three ways: slices, `einops`, and a convolution. Show that all three agree.
# 3. Count tokens: how many, how long, and what they cost.
# 4. Put the picture back together without losing a pixel.
#
# **Time**: 30 minutes. **You need**: Python, and what a PyTorch tensor is. Nothing about transformers yet.

# %%
import torch
from torch import nn

from vit_tutorial import PatchEmbedding, patchify, plots, unpatchify
from vit_tutorial.datasets import pictures
from vit_tutorial.exercises import check
from vit_tutorial.explore import PatchLab

torch.set_num_threads(1)  # the same numbers on every machine
cat = pictures("chelsea")
print("the cat:", list(cat.shape), cat.dtype)

# %%
figure, axes = plots.new_figure(1, 2, size=(9, 4.6))
plots.draw_image(axes[0, 0], cat, "what the camera gives: 224 x 224 pixels")
plots.draw_patches(axes[0, 1], cat, 32, "what the transformer reads: patches, in this order")
plots.show(
    figure, alt="A cat's face, and the same picture cut into 7 by 7 numbered squares, counted row by row from 0 to 48."
)

# %% [markdown]
# The answer in one sentence: **cut the picture into squares, and read the squares from left to right and from top to
# bottom, like words on a page.** Each square is a *patch*. The paper that introduced the Vision Transformer (ViT) is
# called *An Image is Worth 16x16 Words*, because its patches are 16×16 pixels.
#
# We use the same letters in all lessons:
#
# | letter | meaning | in the paper's standard model |
# |---|---|---|
# | B | images in a batch | - |
# | C | channels (red, green, blue) | 3 |
# | H, W | height and width in pixels | 224, 224 |
# | P | side of a patch in pixels | 16 |
# | N | number of patches, (H/P) · (W/P) | 14 · 14 = 196 |
# | D | numbers per token after the projection | 768 |

# %% [markdown]
# ## By hand
#
# We start with an image so small that you can do it with a pencil: one channel, 4×4 pixels, numbered 0 to 15.

# %%
image = torch.arange(16.0).reshape(1, 1, 4, 4)  # [B, C, H, W]
print(image[0, 0].int())

# %% [markdown]
# With P = 2 there are four patches. Take a pencil and write down the four pixels of each one, row by row.
# The first is `0 1 4 5`: two pixels of the top row, then two of the row below.
#
# The naive way to do this in code is to cut out one slice after the other.

# %%
P = 2
slices = []
for row in range(0, 4, P):  # walk down the image
    for column in range(0, 4, P):  # and along each row
        square = image[0, 0, row : row + P, column : column + P]
        slices.append(square.flatten())  # P*P numbers
by_slices = torch.stack(slices)  # [N, P*P]
print(by_slices.int())

# %% [markdown]
# Each line is one patch. Compare with what you wrote. If your second line was `8 9 12 13`, you walked down first:
# that is column order. We read row by row, as the paper does.

# %%
figure, axes = plots.new_figure(1, 2, size=(8, 3.2), width_ratios=[1, 1.2])
plots.draw_matrix(axes[0, 0], image[0, 0], "image [4, 4]", decimals=0)
axes[0, 0].axhline(1.5, color="white", linewidth=4)
axes[0, 0].axvline(1.5, color="white", linewidth=4)
plots.draw_matrix(axes[0, 1], by_slices, "patches [N=4, P·P=4]", rows=[f"patch {i}" for i in range(4)], decimals=0)
plots.show(
    figure,
    alt="Left, a 4 by 4 grid of 0 to 15, cut in four. Right, four rows: 0 1 4 5, 2 3 6 7 and so on.",
)

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

by_einops = rearrange(image, "b c (h p1) (w p2) -> b (h w) (p1 p2 c)", p1=P, p2=P)  # [B, N, P*P*C]
print(list(image.shape), "->", list(by_einops.shape))
print("same as the slices:", torch.equal(by_einops[0], by_slices))

# %% [markdown]
# On the right, `(h w)` is the order of the patches: h changes slowly, w quickly, so we read row by row. And
# `(p1 p2 c)` is the order inside a patch: row, column, channel.
#
# That one line is all there is in the course's `patchify`, apart from checking its input. Here it is on the cat.

# %%
patches = patchify(cat[None], patch_size=16)  # [1, 3, 224, 224] -> [1, 196, 768]
print(list(cat[None].shape), "->", list(patches.shape))
print("tokens N = (224/16) * (224/16) =", 14 * 14)
print("numbers in each = 16 * 16 * 3 =", 16 * 16 * 3)

# %% [markdown]
# Nothing was computed. Pixels only moved. So the cut can be undone without losing anything:

# %%
back = unpatchify(patches, image_size=224)
print("every pixel is back in its place:", torch.equal(back[0], cat))

# %% [markdown]
# ### With a linear layer: from pixels to D numbers
#
# A row of 768 pixels is not yet a token. The model multiplies each row by one matrix E, learned in training, the same
# for all patches. This is the **patch embedding**:
#
# $$\text{tokens} = x_p\,E + b \qquad E \in \mathbb{R}^{(P^2 \cdot C) \times D}
# \qquad \text{(inside equation 1)}$$

# %%
torch.manual_seed(0)
x = cat[None].float() / 255  # [1, 3, 224, 224], real numbers from 0 to 1
linear = nn.Linear(16 * 16 * 3, 768)  # E and b
tokens = linear(patchify(x, 16))  # [1, 196, 768] @ [768, 768] -> [1, 196, 768]
print(list(tokens.shape), "= [B, N, D]")

# %% [markdown]
# In ViT-B/16 the patch happens to have 768 numbers, and D happens to be 768 too. That is a coincidence. With 32×32
# patches a row has 3,072 numbers, and D is still 768.
#
# ### With a convolution: the library's way
#
# Every ViT that you will meet writes this step as a convolution: kernel size P, stride P. The kernel takes one P×P
# square, multiplies it with D filters, and jumps P pixels to the next square. It never straddles two patches.
# So each filter is one column of E. We copy the numbers over and compare.

# %%
embedding = PatchEmbedding(image_size=224, patch_size=16, in_channels=3, dim=768)
print(embedding.proj)

with torch.no_grad():  # E holds pixels as (p1 p2 c); a Conv2d holds its kernel as (c, p1, p2)
    embedding.proj.weight.copy_(rearrange(linear.weight, "d (p1 p2 c) -> d c p1 p2", p1=16, p2=16))
    embedding.proj.bias.copy_(linear.bias)

difference = (embedding(x) - tokens).abs().max().item()
print(f"largest difference below 0.00001: {difference < 1e-5}")

# %% [markdown]
# The two agree, yet not always to the last bit. A sum of 768 products is rounded at every step, and the two ways may
# add in another order. In 64-bit numbers the difference shrinks with the rounding:

# %%
embedding, linear = embedding.double(), linear.double()
difference = (embedding(x.double()) - linear(patchify(x.double(), 16))).abs().max().item()
print(f"in float64, largest difference below 0.0000000000001: {difference < 1e-13}")

# %% [markdown]
# ## In a picture you can touch
#
# **Look for three things.** Halve the patch size: how does the number of tokens change? Change the order: what happens
# when the sequence is put back row by row? Move over a patch: which row of the matrix is it?
#
# Click the picture and use the arrow keys, or use the mouse.

# %%
PatchLab({name: pictures(name) for name in ("chelsea", "coffee", "astronaut")}, patch_size=32)

# %% [markdown]
# ## Claims, tested
#
# You will read the following sentences in notes about ViT. Here they are run.
#
# **"An H×W image gives N = HW/P² tokens."**

# %%
print(f"{'H':>5}{'W':>5}{'P':>5}{'HW/P²':>8}{'N':>8}")
for height, width, size in [(224, 224, 16), (224, 224, 32), (384, 384, 16), (32, 32, 4), (28, 28, 7), (48, 96, 8)]:
    number = patchify(torch.zeros(1, 3, height, width), size).shape[1]
    print(f"{height:>5}{width:>5}{size:>5}{height * width // size**2:>8}{number:>8}")
print("verdict: TRUE IF both sides are multiples of P")

# %% [markdown]
# What if they are not? The package says so, and says what to do:

# %%
try:
    patchify(torch.zeros(1, 3, 30, 28), 4)
except ValueError as error:
    print(error)

# %% [markdown]
# **"The linear projection is the same as a convolution with kernel = stride = P."** You have just measured it: TRUE,
# up to rounding.
#
# **"... or the same as a 1×1 convolution."** A 1×1 convolution on the *image* mixes the channels of single pixels, and
# keeps all 50,176 of them.

# %%
one_by_one = nn.Conv2d(3, 768, kernel_size=1)
print("1x1 convolution on the image:", list(one_by_one(x[:, :, :32, :32]).shape), "- still one vector per pixel")

grid = rearrange(patchify(x.double(), 16), "b (h w) k -> b k h w", h=14)  # [1, 768, 14, 14]: the cut is already made
one_by_one = nn.Conv2d(768, 768, kernel_size=1).double()
with torch.no_grad():
    one_by_one.weight.copy_(linear.weight[:, :, None, None])
    one_by_one.bias.copy_(linear.bias)
same = torch.allclose(one_by_one(grid).flatten(2).transpose(1, 2), linear(patchify(x.double(), 16)))
print("1x1 convolution on the grid of patches equals the linear layer:", same)
print("verdict: FALSE on the image, TRUE once the image has been cut")

# %% [markdown]
# **"Pixels as tokens are out of the question."** In the lessons to come every token looks at every token. That takes a
# table of N×N weights. Count them for one image, at 4 bytes a weight.

# %%
print(f"{'P':>4}{'tokens N':>10}{'weights N²':>16}{'memory':>14}")
for size in (32, 16, 8, 4, 2, 1):
    number = (224 // size) ** 2
    megabytes = number**2 * 4 / 1e6
    print(f"{size:>4}{number:>10,}{number**2:>16,}{megabytes:>11,.2f} MB")
print("verdict: TRUE for the plain table at 224x224: one head of one layer takes 10 GB when P = 1")

# %% [markdown]
# Halve P, and you get 4 times the tokens and 16 times the weights. This is why P is the most expensive number in a ViT.
# Lesson 4 measures the cost, and meets an algorithm that never stores the table.

# %% [markdown]
# ## Exercise: write `patchify`
#
# Difficulty 2 of 5, about 10 minutes. Use `reshape` and `permute` only, no `einops`. Replace the three dots, run the
# cell, and read what the check says. It tries small images first, and it knows the usual mistakes by name.
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
def my_patchify(images, patch_size):
    B, C, H, W = images.shape
    ...


check.patchify(my_patchify)

# %% [markdown]
# The solution is in the next cell, folded. Open it when your own passes, or when you are stuck.


# %% tags=["solution"] jupyter={"source_hidden": true}
def solution_patchify(images, patch_size):
    B, C, H, W = images.shape
    P = patch_size
    split = images.reshape(B, C, H // P, P, W // P, P)  # [B, C, h, P, w, P]
    ordered = split.permute(0, 2, 4, 3, 5, 1)  # [B, h, w, P, P, C]
    return ordered.reshape(B, (H // P) * (W // P), P * P * C)


check.patchify(solution_patchify)

# %% [markdown]
# ## What to remember
#
# 1. An image becomes a sequence of N = (H/P)·(W/P) patches, read row by row.
# 2. Cutting only moves pixels. It can be undone exactly.
# 3. One learned matrix turns each patch into a token of D numbers.
# 4. A convolution with kernel = stride = P does both steps at once, and gives the same numbers.
# 5. Halving P makes 4 times the tokens, and 16 times the attention weights.
#
# | step | shape |
# |---|---|
# | images | [B, C, H, W] |
# | `patchify` | [B, N, P·P·C] |
# | patch embedding | [B, N, D] |
#
# **Three questions.**
#
# <details><summary>A 384×384 image, P = 16: how many tokens?</summary>24 · 24 = 576.</details>
# <details><summary>Does the patch embedding know where in the image a patch was?</summary>No. It sees each patch
# alone, with the same matrix. Lesson 3 is about this.</details>
# <details><summary>How many parameters has the patch embedding of ViT-B/16?</summary>768 · 768 weights and 768 biases:
# 590,592.</details>
#
# **Next**: the tokens are there, but which of them shall answer for the whole image? Lesson 2 adds one for that.
#
# **Read on**: Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words*, section 3.1 ·
# the code of this lesson: `vit_tutorial/patches.py`.
