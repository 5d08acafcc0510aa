# %% [markdown]
# # 10 · Fine-tuning: new pictures for a trained model
#
# **The question.** Somebody takes a ViT-B/16 that has learned a million photographs, trains it on CIFAR-10, and gets 40%. A
# small CNN without any pre-training does better. The notes that this course began with say why: *the data set is too small
# for a ViT.* Others took the same kind of model to the same pictures and got 98.9 to 99.0% (google-research/vision_transformer,
# "Expected results"). *What did the first one do?* Nobody knows, the recipe was not written down. But we can find out what
# makes 40% of a good model.

# %%
from dataclasses import replace

import torch

from vit_tutorial import load_model
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.evidence import compare, compare_each
from vit_tutorial.recipes import build_model
from vit_tutorial.studies import load_study
from vit_tutorial.studies.transfer import draw_few, features_of, linear_probe
from vit_tutorial.training import TrainingConfig, add_lora, evaluate, fit, merge_lora, reset_head
from vit_tutorial.training.fine_tuning import learning_rate_scales

torch.set_num_threads(1)  # the same numbers on every machine

# It has learned six kinds of clothes, and has never seen the other four: `python -m vit_tutorial.recipes` says how.
six = DATA_FOLDER / "vit_clothes_six.safetensors"
model = load_model(six)
clothes = load("fashion_mnist")
four = clothes.of_classes([6, 7, 8, 9])
print("knows:", *model.card.class_names, sep="  ")
print("new:  ", *four.class_names, sep="  ")

# %% [markdown]
# **What you will do**
#
# 1. Compare what a trained model brings with what the raw pixels, random features and a fresh model bring.
# 2. Freeze parts, train a linear probe, give each layer its own learning rate, and write a LoRA.
# 3. Ruin a fine-tuning in four ways, one at a time and all together, and know each by its trace.
# 4. Say before a transfer what to measure, and see one that does not help.
#
# **Time**: 40 minutes, and 50 for the exercises. **You need**: lessons 5 to 8.

# %% [markdown]
# ## By hand
#
# **A small change of a large matrix.** A matrix W of a trained model has 3 rows and 3 columns. We leave it alone, and learn
# two thin ones: A has one row, B one column. What counts is W + BA.
#
# | W | B | A |
# |---|---|---|
# | 1 0 2 | 1 | 1 0 −1 |
# | 0 1 0 | 0 | |
# | 1 1 1 | 2 | |
#
# Take a pencil. What is BA? What is W + BA? How many numbers are learned, and how many would it be without the trick? And
# what must B be at the very first step, if nothing shall change yet?

# %%
W = torch.tensor([[1, 0, 2], [0, 1, 0], [1, 1, 1]])  # [D=3, D=3]
B, A = torch.tensor([[1], [0], [2]]), torch.tensor([[1, 0, -1]])  # [D, r=1], [r, D]
print((B @ A).tolist())
print((W + B @ A).tolist())
print("learned:", B.numel() + A.numel(), "of", W.numel())

# %% [markdown]
# BA has the rows (1, 0, −1), (0, 0, 0) and (2, 0, −2): every row is a multiple of A. That is what *rank 1* means. With 3 x 3 we
# save a third, with 768 x 768 and rank 4 we learn 6,144 numbers instead of 589,824. B begins as zeros, so BA is zero, and the
# model says at first what it said before.
#
# **A rate for each layer.** The head is new and has to go far. The first block sees edges, which new pictures have too, and
# should hardly move. So each layer gets the rate of the one above, times 0.7. A model of 4 blocks, at rate 0.003: what does the
# head get, what block 3, block 0, and the patches below it?

# %%
scales = learning_rate_scales(model, layer_decay=0.7)
for name in ("head.weight", "blocks.3.mlp.fc1.weight", "blocks.0.mlp.fc1.weight", "patch_embed.proj.weight"):
    print(f"{name:<24} {0.003:g} x {scales[name]:.3f} = {0.003 * scales[name]:.2g}")

# %% [markdown]
# ## What may move?
#
# Between *nothing* and *everything* there are steps. Each is an argument of `fit`, or one line before it:
#
# | what learns | how it is written |
# |---|---|
# | the head: a **linear probe** | `freeze=("cls_token", "pos_embed", "patch_embed", "blocks", "norm")` |
# | head, last norm and last block | `freeze=("cls_token", "pos_embed", "patch_embed", "blocks.0", "blocks.1", "blocks.2")` |
# | all, the lower the slower | `layer_decay=0.7` |
# | all alike | nothing |
# | a LoRA on queries and values, and the head | `add_lora(model, rank=4)` |
#
# The old head answers for six other classes. So first of all it is replaced, and everything else stays:

# %%
few, held_out, held_out_labels = draw_few(replace(four, mean=model.card.mean, std=model.card.std), 20, seed=0)
new = reset_head(load_model(six), num_classes=4)
print(list(model.head.weight.shape), "->", list(new.head.weight.shape))
same = [torch.equal(one, other) for one, other in zip(model.blocks.parameters(), new.blocks.parameters(), strict=True)]
print("blocks are the same:", all(same))

# %% [markdown]
# A linear probe, once as training with all but the head frozen, and once the cheap way: what the head reads is computed
# once, and one linear layer learns from these numbers. Nothing below it moves, so nothing needs to be computed again.

# %%
probe = TrainingConfig(
    epochs=30,
    batch_size=20,
    learning_rate=0.01,
    validation_fraction=0,
    freeze=("cls_token", "pos_embed", "patch_embed", "blocks", "norm"),
    device="cpu",
)
fit(new, few, probe, progress=False)
print(f"frozen, trained by fit: {evaluate(new, four.test_images, four.test_labels).accuracy:.1%}")

seen = features_of(model, model.card, few.train_images)  # [80, 64]
layer = linear_probe(seen, few.train_labels, 4, 0.01)
answers = layer(features_of(model, model.card, four.test_images)).argmax(dim=1)
print(f"frozen, computed once: {(answers == four.test_labels).double().mean():.1%}")

# %% [markdown]
# And everything:

# %%
everything = replace(probe, freeze=(), learning_rate=0.003, warmup_epochs=3)
tuned = reset_head(load_model(six), num_classes=4)
fit(tuned, few, everything, progress=False)
scratch = build_model(few, {"patch_size": 7, "dim": 64, "depth": 4, "num_heads": 4, "mlp_ratio": 2.0}, seed=0)
fit(scratch, few, replace(everything, learning_rate=0.001), progress=False)
for words, one in (("all weights", tuned), ("the same model from scratch", scratch)):
    print(f"{words}: {evaluate(one, four.test_images, four.test_labels).accuracy:.1%}")

# %% [markdown]
# ## LoRA
#
# $$W' = W + \frac{\alpha}{r} B A, \qquad A \in \mathbb{R}^{r \times D}, \quad B \in \mathbb{R}^{D \times r}, \quad B = 0 \text{ at first}$$
#
# (Hu et al. 2022, section 4.1.) Three things can be checked, and are: at the start the logits are equal; only the small
# matrices and the head learn; and afterwards BA is added to W for good, and the model costs no more than before.

# %%
lora = reset_head(load_model(six), num_classes=4).double()
images = model.card.normalize(four.test_images[:8]).double()
before = lora(images)
add_lora(lora, rank=4)
print("equal at the start:", torch.equal(lora(images), before))
learns = sum(p.numel() for p in lora.parameters() if p.requires_grad)
print(f"learns {learns:,}, of which the head has {lora.head.weight.numel() + 4}")
with torch.no_grad():
    for name, parameter in lora.named_parameters():
        if ".B_" in name:
            parameter.normal_()  # as if it had learned something
changed = lora(images)
merge_lora(lora)
print(
    f"merged: logits differ by {(lora(images) - changed).abs().max():.0e}, and the change was {(changed - before).abs().max():.1f}"
)

# %% [markdown]
# ## What does the first training bring?
#
# One model, one draw of pictures and one rate prove nothing. The study `transfer` took a small ViT that had learned six kinds
# of photographs to the other four, with 1, 10 and 100 pictures a class: every method at its own rate, which other pictures
# and other seeds had chosen, and five draws of the pictures. The split was fixed before the run: the first six of the list.
#
# ### "Pre-training helps"

# %% tags=["claim-F1"]
study = load_study("transfer")
for images_a_class in (1, 10, 100):

    def of(method, images_a_class=images_a_class):
        return study.scores(f"{method}, {images_a_class} a class")

    print(images_a_class, "a class, all weights, against")
    controls = ("pixels, linear", "untrained features, linear", "from scratch", "masked, all weights")
    print(
        compare_each({name: (of("all weights"), of(name)) for name in controls}, "the first training helps", holds="if")
    )

# %% [markdown]
# ## The trap
#
# Four ways to ruin it. Each is an honest mistake, none gives an error message, and each leaves a model that learns something.
#
# | what | why it happens |
# |---|---|
# | a rate of 0.001 or 0.01 for all weights, without warm-up | it is the default of the optimizer |
# | mean and std forgotten | `ToTensor` alone gives 0 to 1 |
# | the old head kept | the classes fit in, so nobody complains |
# | small pictures blown up to the size of the first training | the model insists on its size |

# %% tags=["claim-N4"]
trap = load_study("transfer_trap")
right = trap.scores("nothing wrong")
for name in trap.variants:
    if name != "nothing wrong" and not name.startswith("linear probe"):
        print(compare(right, trap.scores(name), f"'{name}' does harm"))

# %% [markdown]
# ## What to remember
#
# 1. A trained model is a starting point and a set of features. Measure both: a linear probe, and all weights.
# 2. Its mean, its std and its size belong to it. Its head belongs to its old classes.
# 3. The rate for all weights is smaller than that of a first training, and warms up.
# 4. LoRA learns W + BA, begins as zero, and disappears into W at the end.
# 5. Before you trust a transfer, beat the raw pixels and the same model from scratch, with the same pictures.
#
# **Read on**: Dosovitskiy et al. 2021, section 4.6 and appendix B.1.2 · Hu et al. 2022, *LoRA* · Steiner et al. 2022, *How to
# train your ViT?* · Kumar et al. 2022, *Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution* ·
# google-research/vision_transformer, "Expected results" · the code of this lesson: `vit_tutorial/training/fine_tuning.py`,
# `vit_tutorial/training/lora.py`, `vit_tutorial/studies/transfer.py`.
