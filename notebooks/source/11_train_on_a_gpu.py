# %% [markdown]
# # 11 · Train on a GPU: or on this machine, now
#
# **The question.** You have the whole model. It has learned nothing yet, so it guesses. *What turns a pile of random
# numbers into something that can tell a shirt from a coat, and how long does that take on your machine?*
#
# **What you will do**
#
# 1. Compute the loss of one guess with a pencil, and watch one step make it smaller.
# 2. Read the recipe: AdamW, warm-up and cosine, label smoothing, clipping, bf16.
# 3. Train for real. Without a GPU: pictures of clothes, in under two minutes. With a GPU: CIFAR-10.
# 4. Look at the result honestly: curves, confusion matrix, the ten worst mistakes.
# 5. Save your weights, load them again, and stop and resume a run.
#
# **Time**: 30 minutes, of which the machine trains two. **You need**: lessons 1 to 7.

# %%
import math
import time
from pathlib import Path

import torch
from torch.nn import functional as F

from vit_tutorial import ViT, ViTConfig, attention_maps, count_parameters, load_model, plots, save_model
from vit_tutorial.datasets import load
from vit_tutorial.exercises import check
from vit_tutorial.explore import AttentionLab
from vit_tutorial.train import PRESETS
from vit_tutorial.training import evaluate, fit, learning_rate_at, split_validation

# %% [markdown]
# ## By hand: one loss, one step
#
# A picture is a shirt. The model gives three logits, for *shirt*, *coat*, *bag*: 2, 1, 0. Softmax makes them
# 0.67, 0.24, 0.09 (lesson 0). The loss asks one thing only: what probability did the *right* class get?
#
# $$\text{loss} = -\log p_\text{right} \qquad \text{(cross-entropy)}$$
#
# Here −log 0.67 = 0.41. Had the model been certain, p = 1, the loss would be 0. Had it said 0.09, the loss would be
# 2.41. A model that knows nothing about 10 classes gives each 0.1, so its loss is log 10 = 2.30. Remember that number.

# %%
logits = torch.tensor([[2.0, 1.0, 0.0]], requires_grad=True)  # [B=1, classes=3]
right = torch.tensor([0])  # shirt
loss = F.cross_entropy(logits, right)
print(
    f"by hand {-math.log(0.665):.2f}, PyTorch {loss.item():.2f}; knowing nothing about 10 classes: {math.log(10):.2f}"
)

# %% [markdown]
# Training is this: compute the gradient of the loss, and move every number a little *against* it. For logits the
# gradient is easy: the probabilities, minus 1 at the right class. Take one step of size 1.

# %%
loss.backward()
print("gradient:      ", [round(x, 2) for x in logits.grad[0].tolist()])
stepped = logits - 1.0 * logits.grad
print("logits after:  ", [round(x, 2) for x in stepped[0].tolist()])
print(f"loss: {loss.item():.2f} -> {F.cross_entropy(stepped, right).item():.2f}")

# %% [markdown]
# The right logit went up, the others went down, and the loss fell. A network does the same with all its weights at
# once. `backward` finds the gradients; an optimizer takes the step; a loop repeats it thousands of times.

# %% [markdown]
# ## In code: the recipe
#
# `vit_tutorial/training.py` holds one loop, `fit`, which you can read in one sitting. These are its ingredients.
#
# **Label smoothing.** A target of exactly 1 asks for infinite logits. So the target becomes 0.9 for the right class,
# and the remaining 0.1 is spread over all K classes:
#
# $$\text{loss} = -(1-\epsilon)\log p_\text{right} - \frac{\epsilon}{K} \sum_k \log p_k$$

# %%
torch.manual_seed(0)
logits, right, epsilon = torch.randn(4, 10), torch.tensor([3, 1, 4, 1]), 0.1
log_p = logits.log_softmax(dim=1)  # [4, 10]
by_hand = (-(1 - epsilon) * log_p[range(4), right] - epsilon / 10 * log_p.sum(dim=1)).mean()
print("same as PyTorch's own:", torch.allclose(by_hand, F.cross_entropy(logits, right, label_smoothing=epsilon)))

# %% [markdown]
# **AdamW.** Plain steps use the same step size for every weight. AdamW keeps a running mean m of each weight's gradient,
# and v of its square, and steps by m/√v: weights with small gradients move as fast as those with large ones. It also
# pulls matrices towards 0 a little at each step; this *weight decay* keeps them small. Biases, norms, the class token
# and the positions are left alone. (Loshchilov and Hutter 2019)
#
# **Warm-up, then cosine.** In the first steps v is a poor estimate, and a full step can wreck the model. So the
# learning rate climbs from almost 0. Later it falls along half a cosine, so that the last steps only polish. You will
# write this yourself below.

# %%
gpu = torch.cuda.is_available()
preset = PRESETS["cifar10-gpu" if gpu else "cpu"]
recipe = preset.training
steps = 70  # per epoch, for the picture
epochs = [step / steps for step in range(recipe.epochs * steps)]
rates = [learning_rate_at(step, steps, recipe) for step in range(recipe.epochs * steps)]

figure, axes = plots.new_figure(size=(8, 2.8))
plots.draw_lines(axes[0, 0], epochs, {"learning rate": rates}, "epoch", "learning rate")
plots.show(figure, alt="The learning rate rises in a straight line, then falls along half a cosine to zero.")

# %% [markdown]
# **Gradient clipping.** If the gradient of all weights together is longer than 1, it is shortened to 1. One odd batch
# cannot throw the model far.
#
# **bf16.** A GPU multiplies 16-bit numbers several times faster than 32-bit ones. *bfloat16* keeps the range of float32
# and gives up digits. The products run in it; the weights stay float32. It is used where the GPU has it.
#
# **A validation split.** Part of the training images is held out, the same share of every class. Every choice (how many
# epochs, which learning rate) is made by looking at these. The *test* images are looked at once, at the very end. If
# you pick the best epoch by its test accuracy, that accuracy is no longer a measurement of anything.

# %%
data = load(preset.data)
train, validation = split_validation(data.train_labels, recipe.validation_fraction, recipe.seed)
print(f"{len(train):,} to train on, {len(validation):,} to look at meanwhile")
print(f"{len(data.test_labels):,} test images, kept for the end")
print("no image is in both:", not set(train.tolist()) & set(validation.tolist()))

# %%
figure, axes = plots.new_figure(2, 8, size=(10, 2.9))
for i, ax in enumerate(axes.flat):
    plots.draw_image(ax, data.train_images[i], data.class_names[data.train_labels[i]])
plots.show(figure, alt="Sixteen pictures of the training set with the names of their classes.")

# %% [markdown]
# ## Train
#
# The preset chose a model that suits your machine. Without a GPU it is small, and so are the pictures.

# %%
model = preset.build(data)
untrained = evaluate(model, data.train_images[validation], data.train_labels[validation])
print(f"{data.name}: pictures {list(data.train_images.shape[1:])}, {model.grid_size[0]}x{model.grid_size[1]} patches")
print(f"{model.config.depth} blocks, D = {model.config.dim}, {count_parameters(model):,} parameters")
print(f"untrained, it is close to guessing: {untrained.accuracy < 0.25}")
print(f"and its loss is close to log 10: {abs(untrained.loss - math.log(10)) < 0.5}")

# %% [markdown]
# Now run the next cell. A bar shows how far it is, the loss, and the accuracy on the validation images. Every epoch is
# saved in the folder `runs/lesson11`. Stop the cell in the middle if you like (the ■ button), and run it again: it goes
# on from the last whole epoch. To train afresh, delete that folder.

# %%
started = time.perf_counter()
history = fit(model, data, recipe, checkpoint=Path("runs/lesson11"))
seconds = time.perf_counter() - started
print("epochs:", history.epochs)

# %% tags=["nbval-ignore-output"]
# Not compared in the tests: speed depends on the machine.
print(f"{sum(history.seconds):.0f} s of training on {history.environment['hardware']}")
print(f"{history.images_per_second:,.0f} images/s")

# %% [markdown]
# ## Look at what happened
#
# **The curves.** The loss on the training images falls. What counts is the validation curve: images the model has not
# learned from. Both curves include label smoothing, so even a perfect model would not reach 0.

# %%
figure, axes = plots.new_figure(1, 2, size=(10, 3.4))
x = range(1, history.epochs + 1)
losses = {"training": history.train_loss, "validation": history.validation_loss}
accuracies = {"training (as augmented)": history.train_accuracy, "validation": history.validation_accuracy}
plots.draw_lines(axes[0, 0], x, losses, "epoch", "loss")
plots.draw_lines(axes[0, 1], x, accuracies, "epoch", "accuracy")
plots.show(figure, alt="Left, the losses fall over the epochs. Right, the accuracies rise and flatten.")

# %% [markdown]
# The training images are mirrored or shifted by a few pixels each time they are shown (**augmentation**), so the model
# never sees quite the same picture twice. They are harder than the validation images. This is why the training
# accuracy can lie below the validation accuracy.
#
# **The test.** Once, and last.

# %%
test = evaluate(model, data.test_images, data.test_labels)
print("right on more than 85% of the test images:", test.accuracy > 0.85)

# %% tags=["nbval-ignore-output"]
# Not compared in the tests: training differs in the last digits between machines.
print(f"test accuracy {test.accuracy:.1%} on {len(data.test_labels):,} images it has never seen")

# %% [markdown]
# **The confusion matrix.** Row: what it is. Column: what the model said. The diagonal is right.

# %%
figure, axes = plots.new_figure(size=(7, 6))
plots.draw_matrix(
    axes[0, 0], test.confusion, "it is (row), the model says (column)", data.class_names, decimals=0, cmap="Blues"
)
axes[0, 0].set_xticks(range(10), data.class_names, rotation=60, ha="right")
plots.show(
    figure,
    alt="A 10 by 10 table with large counts on the diagonal; the largest counts off it are between similar classes.",
)

# %% tags=["nbval-ignore-output"]
# Not compared in the tests: which classes are mixed up most often may differ between machines.
wrong = test.confusion.clone().fill_diagonal_(0)
row, column = divmod(int(wrong.argmax()), len(data.class_names))
print(f"most often, {data.class_names[row]} is taken for {data.class_names[column]}: {wrong.max()} times")

# %%
figure, axes = plots.new_figure(2, 5, size=(10, 4.6))
for ax, i in zip(axes.flat, test.worst_mistakes(10), strict=True):
    said, is_really = (data.class_names[classes[i]] for classes in (test.predictions, test.labels))
    words = f"says {said} ({test.confidences[i]:.0%})\nis {is_really}"
    plots.draw_image(ax, data.test_images[i], words)
plots.show(
    figure,
    alt="The ten test pictures with the largest loss, each with what the model said and what it is.",
    caption="The ten worst mistakes, the worst first.",
)

# %% [markdown]
# Look at them one by one. Would you have known? Some of these pictures are hard, and some labels are doubtful. A model
# that is wrong *and certain* has the largest loss: that is what the list is sorted by.
#
# **Where does it look?** The same explorer as in lesson 4, now on your own model and its worst mistake.

# %%
worst = data.test_images[test.worst_mistakes(1)]  # [1, C, H, W]
model = model.cpu()
maps = attention_maps(model, model.card.normalize(worst))
AttentionLab(worst[0], [layer[0] for layer in maps], model.grid_size, num_prefix_tokens=model.num_prefix_tokens)

# %% [markdown]
# ## Keep what you made
#
# Your weights go into one `.safetensors` file. It holds numbers and text, so opening one runs no code; a pickled file
# could. The names of the classes and the mean and std of the input travel along.

# %%
path = save_model(model, Path("runs/lesson11/my_vit.safetensors"))
again = load_model(path)
picture = again.card.normalize(data.test_images[:4])
with torch.no_grad():
    print("the loaded model gives the same logits:", torch.equal(again(picture), model.eval()(picture)))
print("it knows its classes:", again.card.class_names == tuple(data.class_names))

# %% [markdown]
# ## Claims, tested
#
# **"One batch can be learned by heart."** This is the first test of any training code, and takes seconds: if a model
# cannot bring the loss on 16 pictures to almost nothing, something is broken. Do it before every long run.

# %%
torch.manual_seed(0)
small = ViT(ViTConfig(image_size=data.image_size, patch_size=model.config.patch_size, in_channels=data.in_channels,
                      num_classes=10, dim=32, depth=2, num_heads=2))  # fmt: skip
optimizer = torch.optim.AdamW(small.parameters(), lr=3e-3)
few, few_labels = model.card.normalize(data.train_images[:16]), data.train_labels[:16]
for _ in range(100):
    loss = F.cross_entropy(small(few), few_labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss on these 16 pictures below 0.05: {loss.item() < 0.05}")
print("verdict: TRUE")

# %% [markdown]
# **"The training loss tells how good the model is."** The model above knows its 16 pictures by heart. Others?

# %%
small.card = model.card
seen = (small(few).argmax(dim=1) == few_labels).float().mean().item()
unseen = evaluate(small, data.test_images, data.test_labels).accuracy
print(f"right on what it learned from: {seen:.0%}; on the test images less than 70%: {unseen < 0.7}")
print("verdict: FALSE - only images it has not learned from can tell")

# %% [markdown]
# ## Exercise: write the learning rate
#
# Difficulty 3 of 5, about 10 minutes. Steps are counted from 0. During warm-up the rate rises in a straight line:
# step 0 has `peak / warmup`, the last warm-up step has `peak`. After that it falls along half a cosine, from `peak` at
# step `warmup` towards 0 at step `steps`:
#
# $$\text{rate} = \text{peak} \cdot \frac{1 + \cos(\pi\, t)}{2}
# \qquad t = \frac{\text{step} - \text{warmup}}{\text{steps} - \text{warmup}}$$
#
# <details><summary>Hint 1</summary>
#
# Two cases: `if step < warmup`, and all the rest.
#
# </details>
# <details><summary>Hint 2</summary>
#
# In warm-up, step 0 must already teach something: `(step + 1) / warmup`. Afterwards t goes from 0 to 1, so the cosine
# goes from 1 to −1.
#
# </details>


# %% tags=["exercise"]
def my_learning_rate(step, steps, warmup, peak): ...


check.learning_rate(my_learning_rate)

# %% [markdown]
# The solution is in the next cell, folded.


# %% tags=["solution"] jupyter={"source_hidden": true}
def my_learning_rate(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    t = (step - warmup) / (steps - warmup)  # 0 to 1
    return peak * (1 + math.cos(math.pi * t)) / 2


check.learning_rate(my_learning_rate)

# %% [markdown]
# ## From here
#
# The same loop runs from the command line, where a training can take hours. It writes a checkpoint after every epoch,
# and the same line again goes on where it stopped:
#
# ```
# python -m vit_tutorial.train --data fashion_mnist --out runs/first
# python -m vit_tutorial.train --preset cifar10-gpu --out runs/cifar10
# python -m vit_tutorial.train --help
# ```
#
# ## What to remember
#
# 1. The loss is −log of the probability that the right class got. A model that knows nothing has log K.
# 2. Warm up, then follow a cosine. Decay matrices, not biases. Clip the gradient.
# 3. Choose by the validation split. Look at the test images once.
# 4. Before a long run, learn one batch by heart.
# 5. Save weights as safetensors, with what is needed to use them.
#
# | what | shape |
# |---|---|
# | a batch of pictures, as stored | [B, C, H, W], uint8 |
# | after `normalize` | [B, C, H, W], float32, mean 0 and std 1 a channel |
# | logits | [B, K] |
# | confusion matrix | [K, K] |
#
# **Three questions.**
#
# <details><summary>Your loss starts at 2.30 with 10 classes and stays there. What does it say?</summary>The model still
# gives every class the same probability. It has learned nothing: look at the learning rate, and at the labels.</details>
# <details><summary>Training accuracy 99%, validation 80%. What is this called, and what helps?</summary>Overfitting. More
# data, more augmentation, more weight decay, or a smaller model.</details>
# <details><summary>Why not choose the epoch with the best test accuracy?</summary>Then the test set has helped to choose,
# and its accuracy is too good. Choose with the validation split.</details>
#
# **You have done it.** From cutting a picture into patches to a trained model of your own. Change something now: the patch
# size, the depth, your own attention (`ViT(config, attention=MyAttention)`), and train again.
#
# **Read on**: Dosovitskiy et al. 2021, section 4.1 and appendix B.1 · Loshchilov and Hutter 2019, *Decoupled Weight Decay
# Regularization* · Steiner et al. 2022, *How to train your ViT?* · the code of this lesson: `vit_tutorial/training.py`
# and `vit_tutorial/train.py`.
