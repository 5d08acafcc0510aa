# %% [markdown]
# # 0 · Start here: see the end first
#
# **The question.** What can a Vision Transformer do, and what will you be able to do with one?
#
# **What you will do**
#
# 1. Watch a trained Vision Transformer (ViT) name pictures, and see where it looks.
# 2. Turn its raw answers into probabilities, with a pencil.
# 3. Check that your machine has all that the course needs.
# 4. Learn how a lesson works, and pass your first exercise.
#
# **Time**: 20 minutes. **You need**: Python, and to have seen a PyTorch tensor before. Whoever reads PyTorch for the
# first time needs longer than a lesson says.
#
# **How to use this page.** The grey boxes are code. Click into one and press **Shift+Enter**: it runs, and the next box
# is chosen. Do this from the top to the bottom. Code that only draws is folded, and runs all the same: the three dots
# or the blue bar beside it open it. You may change any code and run it again. If a name is missing then, choose *Run →
# Restart Kernel and Run All Cells*: nothing breaks for good.

# %%
import torch

from vit_tutorial import attention_maps, count_parameters, load_model, patchify, plots
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.exercises import check
from vit_tutorial.exercises.progress import my_progress
from vit_tutorial.explore import AttentionLab, SketchLab
from vit_tutorial.machine import check_machine

torch.set_num_threads(1)  # one thread: the same numbers each time
print("the course is here, and PyTorch too")

# %% [markdown]
# If this box ended in `ModuleNotFoundError`, the notebook runs in another Python than the course. Close it. Open a
# terminal in the folder of the course and type `make lab`.
#
# ## The end first
#
# This model was trained with the code of this course, on 28×28 pictures of clothes (the data set Fashion-MNIST). The
# eight below are test pictures: it never saw them in training. (`normalize` gives the pixels the scale on which the
# model learned: lesson 2.)

# %%
model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
data = load("fashion_mnist")
images, labels = data.test_images[:8], data.test_labels[:8]  # [8, 1, 28, 28] and [8]

with torch.no_grad():
    logits = model(model.card.normalize(images))  # [8, 10]: ten numbers for each picture
print(list(images.shape), "->", list(logits.shape))
print(f"{count_parameters(model):,} numbers were learned")

# %% [markdown]
# The class with the largest of the ten numbers is the answer.

# %%
answers = [data.class_names[best] for best in logits.argmax(dim=1)]
print(", ".join(answers))

# %% [markdown]
# Here each stands above its picture. All eight are right.

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(2, 4, size=(9, 5))
for ax, image, answer, label in zip(axes.flat, images, answers, labels, strict=True):
    right = data.class_names[label]
    plots.draw_image(ax, image, answer if answer == right else f"{answer}\n(it is: {right})")
plots.show(figure, alt=f"Eight small grey pictures of clothes. The model says: {', '.join(answers)}.")

# %% [markdown]
# **Draw one yourself.** The whole model now runs in your browser, and answers while you draw. Rub out the shaft of the
# boot, from the top down, with the eraser: when does it become a sneaker? Then clear the square and draw a bag. And
# what does it say to an empty square? Leave the button "More" for later: its words come in lessons 2 to 8.

# %%
starts = {name: data.test_images[data.test_labels == i][0] for i, name in enumerate(data.class_names)}
SketchLab(model, starts, learned_from=data.train_images, drawing="Ankle boot")

# %% [markdown]
# <details><summary>What there was to see</summary>
#
# When most of the shaft is gone it says *sneaker*, soon afterwards *sandal*, then for a moment *ankle boot*, and then
# *sandal* again: an unsure answer turns with one more row of pixels. It calls the empty square a sandal too, with
# 79%. "Nothing" is not among its ten answers, and their probabilities always add up to 100%. So a high one does not
# say that the picture is like those it learned from.
#
# </details>
#
# **Where does it look?** A ViT cuts the picture into patches, and every patch looks at every other patch. How much it
# looks where is a table of numbers, the *attention*.
#
# The picture below opens on the *class token*, which looks at all patches, and whose answer counts. (Click a patch,
# or click the picture once and use the arrow keys, and that patch looks; `c` leads back to the class token.)
# Attention is computed in several *layers*, one after the other, and in each by several *heads* at once. This head
# looks at the boot. Now move *Head* to its left end, the mean of all, and slide through the layers. What does the
# model look at in the end, the clothes or the background?

# %%
maps = attention_maps(model, model.card.normalize(images[:1]))  # one table per layer and head
AttentionLab(images[0], [layer[0] for layer in maps], grid_size=model.grid_size, layer=3, head=1)

# %% [markdown]
# If you see one line of text in place of a picture, run the box again. If that does not help, the machine check below
# says what to do.
#
# You do not have to understand any of this yet. By the end of lesson 7 you will have built every part of it.
#
# The clothes or the background? Say what you think. Then see what the folded box below counts: how much of the class
# token's weight, in the last layer, lies on patches that are black all over.

# %% jupyter={"source_hidden": true}
many = data.test_images[:300]
looks = attention_maps(model, model.card.normalize(many))[-1].mean(dim=1)[:, 0, 1:]  # mean of the heads: [300, 49]
black = patchify(many, model.config.patch_size).amax(dim=2) == 0  # [300, 49]
on_black, are_black = (looks * black).sum(dim=1), black.float().mean(dim=1)
print(f"the first picture: {on_black[0]:.0%} of the weight, on {are_black[0]:.0%} of the patches")
print(f"300 pictures:      {on_black.mean():.0%} of the weight, on {are_black.mean():.0%} of the patches")

# %% [markdown]
# <details><summary>What there was to see</summary>
#
# Both. On the first picture the background gets about the weight that it would get from somebody who looks everywhere
# alike. Over 300 pictures it gets a little less. So these numbers do not say that the model looks at the clothes.
#
# Nor do they say what made it answer as it did: in the last layer every token already holds something of all others.
# Lesson 8 tests that.
#
# </details>

# %% [markdown]
# ## By hand: from ten numbers to an answer
#
# The model returns ten numbers per picture, one for each class. They are called **logits**. A logit may be any number;
# larger means "more likely". To turn logits z into probabilities, take the exponential of each, and divide by the sum:
#
# $$\text{softmax}(z)_i = \frac{e^{z_i}}{\sum_j e^{z_j}}$$
#
# Do it with three logits: 2, 1 and 0. The exponentials are 7.39, 2.72 and 1.00. Their sum is 11.11. So the
# probabilities are 7.39/11.11 = 0.67, then 0.24, then 0.09. They add up to 1.

# %%
z = torch.tensor([2.0, 1.0, 0.0])
by_hand = z.exp() / z.exp().sum()
print([round(p, 2) for p in by_hand.tolist()])
print("the same as PyTorch's own:", torch.allclose(by_hand, z.softmax(dim=0)))

# %% [markdown]
# Now the ten logits of the first picture, and what softmax makes of them.

# %%
print("logits:", [round(z, 1) for z in logits[0].tolist()])
probabilities = logits[0].softmax(dim=0)

# %% jupyter={"source_hidden": true}
figure, axes = plots.new_figure(1, 2, size=(8.5, 3.2), width_ratios=[1, 2])
plots.draw_image(axes[0, 0], images[0], data.class_names[labels[0]])
axes[0, 1].barh(data.class_names, probabilities, color=plots.BLUE)
axes[0, 1].invert_yaxis()
axes[0, 1].set_xlim(0, 1)
axes[0, 1].set_xlabel("probability")
second, first = probabilities.sort().values[-2:]
plots.show(
    figure,
    alt=f"The first picture, and a bar for each of the ten classes. {answers[0]} has {first:.0%}, all others at most {second:.0%}.",
)

# %% [markdown]
# ## Your machine
#
# A line with ✓ is fine. A line with ! says what to do. No GPU is needed: every lesson runs on a laptop.

# %% tags=["nbval-ignore-output"]
# Not compared in the tests: this is different on every machine, as it should be.
check_machine()

# %% [markdown]
# ## How to study
#
# | lesson | afterwards you can |
# |---|---|
# | [1 Patches](01_patches.ipynb) | turn an image into a sequence of tokens, in ways that agree |
# | [2 Class token](02_class_token.ipynb) | say which token answers for the whole image, and why |
# | [3 Position embeddings](03_position_embeddings.ipynb) | show that attention is blind to order, and cure it |
# | [4 Scaled dot-product attention](04_scaled_dot_product_attention.ipynb) | compute attention with a pencil |
# | [5 Multi-head attention](05_multi_head_attention.ipynb) | cut it into heads, and match PyTorch's own |
# | [6 Encoder block](06_encoder_block.ipynb) | stack attention 24 times so that it trains, and say what makes it so |
# | [7 Vision Transformer](07_vision_transformer.ipynb) | assemble the whole model, and load published weights into it |
# | [8 Looking inside](08_looking_inside.ipynb) | say what a picture of attention proves, and what it does not |
# | [9 ViT against CNN](09_vit_versus_cnn.ipynb) | compare two models fairly, and see through a comparison that is not |
# | [10 Fine-tuning](10_fine_tuning.ipynb) | take a trained model to new pictures, and say whether it was worth it |
# | [11 Train on a GPU](11_train_on_a_gpu.ipynb) | train it yourself, on a laptop or on a GPU |
#
# Take them in this order. Each has the same bones. A question. Numbers small enough for a pencil. The code beside its
# formula, and a check that it agrees with the library everybody uses. A picture to touch. Sentences that people repeat,
# tested. Exercises that check themselves. Five lines to remember.
#
# Each lesson says which file of the folder `vit_tutorial/` it is about. Those files are short, and meant to be read.

# %% [markdown]
# ## Exercise: count the tokens
#
# Difficulty 1 of 5, about 3 minutes. Importance 3 of 3. (Later lessons build on it.) A square image of `image_size`
# pixels a side is cut into patches of `patch_size` pixels a side. How many patches are there? (Each becomes a *token*,
# one row of numbers: lesson 1.) Replace the three dots, and run the box.
#
# <details><summary>Hint 1</summary>
#
# Take a 4×4 image and patches of 2×2. Draw it. How many patches do you see?
#
# </details>
# <details><summary>Hint 2</summary>
#
# There are `image_size // patch_size` patches in one row. How many rows are there?
#
# </details>


# %% tags=["exercise"]
def count_tokens(image_size, patch_size): ...


check.count_tokens(count_tokens)

# %% [markdown]
# The check tries your function on several inputs. If it is wrong, it shows the smallest input where it fails, and
# usually says in words what is wrong: of 1,413 wrong answers that were tried, 95 in 100 got such a sentence. Try it:
# return `image_size // patch_size` and see.
#
# The solution is in the next box, folded. In the lessons, the code of each *extra* is folded in the same way.


# %% tags=["solution"] jupyter={"source_hidden": true}
def count_tokens(image_size, patch_size):
    return (image_size // patch_size) ** 2


check.count_tokens(count_tokens)

# %% [markdown]
# ## How far you have come
#
# When one of your answers passes, the course remembers it, in the file `progress.json`. Running a solution does not
# count. Come back and run the next box whenever you want to know what is left.

# %%
my_progress()

# %% [markdown]
# ## What to remember
#
# 1. A ViT takes a picture and returns one logit per class. Softmax turns logits into probabilities.
# 2. Inside, patches look at each other, and one can see where.
# 3. In JupyterLab, Shift+Enter runs a box. Lessons run from top to bottom.
# 4. Every exercise checks itself, and nearly always says in words what is wrong.
# 5. A claim about models comes with the code that tests it, or with its source.
#
# | what | shape | here |
# |---|---|---|
# | pictures: how many, colours, height, width | [B, C, H, W] | [8, 1, 28, 28] |
# | patches: N of each picture, numbers in a patch | [B, N, P·P·C] | [8, 49, 16] |
# | attention of a layer: heads, who looks, at whom | [B, h, N+1, N+1] | [8, 4, 50, 50] |
# | logits: one for each of K classes | [B, K] | [8, 10] |
#
# P is the side of a patch. (N+1, since the class token is one more.) All lessons use these letters, and say so where
# one means something else.
#
# **Three questions.**
#
# <details><summary>All ten logits are equal. What are the probabilities?</summary>One tenth each.</details>
# <details><summary>You add 100 to every logit. What changes?</summary>Nothing: e to the power 100 stands in the
# numerator and in every term of the sum, and cancels.</details>
# <details><summary>A model gives 45% of its attention to black patches. What must you know before you say that it prefers the
# background?</summary>How many patches are black. If it is 43 in 100, somebody who looks everywhere alike gives them 43% as
# well.</details>
#
# **Next**: lesson 1 takes a picture of a cat and cuts it into words.
#
# **Read on**: Dosovitskiy et al. 2021, *An Image is Worth 16x16 Words*, the abstract and figure 1 · Xiao et al. 2017,
# *Fashion-MNIST*.
