"""Answers to the exercises of lesson 7."""

import collections
import re

import torch
from torch import nn

from exercises.answers import Answers
from vit_tutorial import ClassToken, EncoderBlock, PatchEmbedding, PositionEmbedding, ViT, ViTConfig, patchify

# ------------------------------------------------------------------------------------------ count a ViT


def by_building(dim, depth, patch_size, image_size, num_classes):
    def size(*parts):
        return sum(parameter.numel() for part in parts for parameter in part.parameters())

    embed = PatchEmbedding(image_size, patch_size, 3, dim)
    first = size(embed, ClassToken(dim), PositionEmbedding(embed.num_patches + 1, dim))
    return [first, depth * size(EncoderBlock(dim, 1)), size(nn.LayerNorm(dim), nn.Linear(dim, num_classes))]


def by_pieces(dim, depth, patch_size, image_size, num_classes):
    def linear(a, b):
        return (a + 1) * b

    tokens = (image_size // patch_size) ** 2 + 1
    block = linear(dim, 3 * dim) + linear(dim, dim) + linear(dim, 4 * dim) + linear(4 * dim, dim) + 4 * dim
    return linear(3 * patch_size**2, dim) + (1 + tokens) * dim, block * depth, dim + dim + linear(dim, num_classes)


RIGHT = ("(3*P*P + 1)*D + D + (N + 1)*D", "L*(12*D*D + 13*D)", "2*D + (D + 1)*K")


def one_sum(dim, depth, patch_size, image_size, num_classes):
    return sum(by_pieces(dim, depth, patch_size, image_size, num_classes))


def wrong_count(place, text):
    """Return an answer with three formulas in the words of Python, one of them replaced."""
    texts = [text if i == place else right for i, right in enumerate(RIGHT)]

    def answer(dim, depth, patch_size, image_size, num_classes):
        names = {"D": dim, "L": depth, "P": patch_size, "N": (image_size // patch_size) ** 2, "K": num_classes}
        return tuple(eval(text, names) for text in texts)

    return answer


# ------------------------------------------------------------------------------------------ write forward


def embed(model, images):
    return model.position(model.class_token(model.patch_embed(images)))


def line_by_line(model, images):
    x = model.patch_embed(images)
    x = model.class_token(x)
    x = model.position(x)
    for block in model.blocks:
        x = block(x)
    return model.head(model.norm(x)[:, 0])


def class_token_before_norm(model, images):
    x = model.blocks(embed(model, images))
    return model.head(model.norm(x[:, 0]))


def from_parameters_and_single_images(model, images):
    logits = []
    for image in images:
        patches = model.patch_embed.proj(image[None]).flatten(2).transpose(1, 2)
        x = torch.cat([model.class_token.cls_token, patches], dim=1) + model.position.pos_embed
        for block in model.blocks:
            x = x + block.attn(block.norm1(x))
            x = x + block.mlp(block.norm2(x))
        logits.append(model.norm(x)[0, 0] @ model.head.weight.T + model.head.bias)
    return torch.stack(logits)


def by_classify(model, images):
    return model.classify(model.norm(model.blocks(embed(model, images))))


def no_last_norm(model, images):
    return model.head(model.blocks(embed(model, images))[:, 0])


def norm_before_blocks(model, images):
    return model.head(model.blocks(model.norm(embed(model, images)))[:, 0])


def no_positions(model, images):
    x = model.class_token(model.patch_embed(images))
    for block in model.blocks:
        x = block(x)
    return model.head(model.norm(x)[:, 0])


def mean_of_all(model, images):
    x = model.norm(model.blocks(embed(model, images)))
    return model.head(x.sum(dim=1) / x.shape[1])


def mean_of_patches(model, images):
    return model.head(model.norm(model.blocks(embed(model, images)))[:, 1:].mean(dim=1))


def last_token(model, images):
    return model.head(model.norm(model.blocks(embed(model, images)))[:, -1])


def first_image(model, images):
    return model.head(model.norm(model.blocks(embed(model, images)))[0])


def token_axis_kept(model, images):
    return model.head(model.norm(model.blocks(embed(model, images)))[:, :1])


def every_token(model, images):
    return model.head(model.norm(model.blocks(embed(model, images))))


def result_of_blocks_not_kept(model, images):
    x = embed(model, images)
    for block in model.blocks:
        block(x)
    return model.head(model.norm(x)[:, 0])


def first_block_alone(model, images):
    x = embed(model, images)
    for block in model.blocks:
        x = block(x)
        return model.head(model.norm(x)[:, 0])


def blocks_side_by_side(model, images):
    x = embed(model, images)
    for block in model.blocks:
        y = block(x)
    return model.head(model.norm(y)[:, 0])


def no_head(model, images):
    return model.norm(model.blocks(embed(model, images)))[:, 0]


def softmax(model, images):
    return torch.softmax(line_by_line(model, images), dim=1)


def best_class(model, images):
    return line_by_line(model, images).argmax(dim=1)


def positions_added_again(model, images):
    x = model.class_token(model.patch_embed(images))
    x = x + model.position(x)
    for block in model.blocks:
        x = block(x)
    return model.head(model.norm(x)[:, 0])


def block_added_again(model, images):
    x = embed(model, images)
    for block in model.blocks:
        x = x + block(x)
    return model.head(model.norm(x)[:, 0])


def norm_inside_the_loop(model, images):
    x = embed(model, images)
    for block in model.blocks:
        x = model.norm(block(x))
    return model.head(x[:, 0])


def norm_inside_the_loop_and_behind(model, images):
    x = embed(model, images)
    for block in model.blocks:
        x = block(x)
        x = model.norm(x)
    return model.head(model.norm(x[:, 0]))


def positions_before_class_token(model, images):
    x = model.position(model.patch_embed(images))
    x = model.class_token(x)
    return model.head(model.norm(model.blocks(x))[:, 0])


def class_token_as_a_tensor(model, images):
    x = torch.cat([model.class_token, model.patch_embed(images)], 1)
    return model.head(model.norm(model.blocks(model.position(x)))[:, 0])


def positions_as_a_tensor(model, images):
    x = model.class_token(model.patch_embed(images)) + model.position
    return model.head(model.norm(model.blocks(x))[:, 0])


def another_type_error(model, images):
    return model.patch_embed(images) + "positions"


def one_too_much(model, images):
    return line_by_line(model, images) + 1


def the_whole_model(model, images):
    return model(images)


def its_forward(model, images):
    return model.forward(images)


def its_stages(model, images):
    return model.forward_intermediates(images)["logits"]


def token_one(model, images):
    x = embed(model, images)
    for block in model.blocks:
        x = block(x)
    return model.head(model.norm(x[:, 1]))


def no_class_token(model, images):
    x = model.position(model.patch_embed(images))
    for block in model.blocks:
        x = block(x)
    return model.head(model.norm(x)[:, 0])


def forgets_the_class_token(model, images):
    return model.head(model.position(model.patch_embed(images)).mean(1))


def through(blocks):
    """Return a forward that goes through some blocks of the model's."""

    def forward(model, images):
        x = model.position(model.class_token(model.patch_embed(images)))
        for block in blocks(model):
            x = block(x)
        return model.head(model.norm(x)[:, 0])

    return forward


# ------------------------------------------------------------------------------------------ rename foreign weights

PATTERNS = [
    (r"^class_token$", "cls_token"),
    (r"^conv_proj", "patch_embed.proj"),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^encoder\.ln\.", "norm."),
    (r"^heads\.head", "head"),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
    (r"\.ln_(\d)\.", r".norm\1."),
    (r"self_attention\.in_proj_", "attn.qkv."),
    (r"self_attention\.out_proj", "attn.proj"),
    (r"mlp\.0", "mlp.fc1"),
    (r"mlp\.3", "mlp.fc2"),
]


def renaming(**changes):
    """Return an answer by patterns, in which some results are replaced: renaming(**{"mlp.fc2": "mlp.fc3"})."""

    def answer(weights):
        renamed = {}
        for key, value in weights.items():
            for pattern, new in PATTERNS:
                key = re.sub(pattern, changes.get(new, new), key)
            renamed[key] = value
        return renamed

    return answer


def by_cases(weights):
    inside = {"ln_1": "norm1", "ln_2": "norm2", "0": "fc1", "3": "fc2", "self_attention": "attn"}
    names = {"class_token": "cls_token", "encoder.pos_embedding": "pos_embed"}
    for key in weights:
        parts = key.split(".")
        if parts[0] == "conv_proj":
            names[key] = f"patch_embed.proj.{parts[1]}"
        elif key in names:
            continue
        elif parts[0] == "heads" or parts[1] == "ln":
            names[key] = f"{'head' if parts[0] == 'heads' else 'norm'}.{parts[-1]}"
        elif parts[1] == "layers":
            number = parts[2].split("_")[-1]
            rest = ".".join(inside.get(part, part) for part in parts[3:])
            names[key] = f"blocks.{number}." + rest.replace("in_proj_", "qkv.").replace("out_proj", "proj")
    return {names[key]: value for key, value in weights.items()}


def not_renamed(weights):
    return {key: value for key, value in weights.items() if True}


def prefix_kept(weights):
    names = {key: key.replace("pos_embedding", "pos_embed") for key in weights if "pos_embedding" in key}
    others = {key: value for key, value in weights.items() if key not in names}
    return renaming()(others) | {names[key]: weights[key] for key in names}


def only_names(weights):
    return list(renaming()(weights).keys())


def first_name_alone(weights):
    for name, weight in renaming()(weights).items():
        return {name: weight}


def one_digit(weights):
    renamed = {}
    for key, value in renaming()(weights).items():
        renamed[re.sub(r"blocks\.(\d)\d*", r"blocks.\1", key)] = value
    return renamed


def from_one(weights):
    return {re.sub(r"blocks\.(\d+)", lambda m: f"blocks.{int(m[1]) + 1}", k): v for k, v in renaming()(weights).items()}


def inner_names_kept(weights):
    changes = {r".norm\1.": r".ln_\1.", "mlp.fc1": "mlp.0", "mlp.fc2": "mlp.3"}
    return renaming(**changes)(weights)


def swapped_norms(weights):
    swap = {"norm1": "norm2", "norm2": "norm1"}
    return {re.sub(r"norm[12]", lambda m: swap[m[0]], k): v for k, v in renaming()(weights).items()}


def block_7_alone(weights):
    renamed = {}
    for name, value in weights.items():
        name = name.replace("encoder.layers.encoder_layer_7.", "blocks.7.")
        name = name.replace("class_token", "cls_token").replace("encoder.pos_embedding", "pos_embed")
        name = name.replace("conv_proj", "patch_embed.proj").replace("encoder.ln.", "norm.")
        name = name.replace("heads.head", "head").replace("ln_1", "norm1").replace("ln_2", "norm2")
        name = name.replace("self_attention.in_proj_", "attn.qkv.").replace("self_attention.out_proj", "attn.proj")
        renamed[name.replace("mlp.0", "mlp.fc1").replace("mlp.3", "mlp.fc2")] = value
    return renamed


def other_tensors(weights):
    return {name: value + 1 for name, value in renaming()(weights).items()}


def no_tensors(weights):
    return dict.fromkeys(renaming()(weights))


def head_thrown_away(weights):
    return {key: value for key, value in renaming()(weights).items() if not key.startswith("head")}


# ------------------------------------------------------------------------------------------ the whole, from parts


class MyViT(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
        super().__init__()
        N = (image_size // patch_size) ** 2
        self.patch_embed = PatchEmbedding(image_size, patch_size, in_channels, dim)
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.randn(1, N + 1, dim))
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            self.blocks.append(EncoderBlock(dim, num_heads))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, num_classes)

    def tokens(self, x):
        x = self.patch_embed(x)
        return torch.cat((self.cls_token.repeat(x.shape[0], 1, 1), x), 1)

    def encode(self, x):
        for block in self.blocks:
            x = block(x)
        return x

    def forward(self, x):
        x = self.tokens(x) + self.pos_embed
        return self.head(self.norm(self.encode(x))[:, 0, :])


class WithTheCoursesParts(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
        super().__init__()
        self.patch_embed = PatchEmbedding(image_size, patch_size, in_channels, dim)
        self.class_token = ClassToken(dim)
        self.position = PositionEmbedding((image_size // patch_size) ** 2 + 1, dim)
        self.blocks = nn.Sequential(*(EncoderBlock(dim, num_heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x):
        x = self.blocks(self.position(self.class_token(self.patch_embed(x))))
        return self.head(self.norm(x[:, 0]))


class Derived(ViT):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
        super().__init__(ViTConfig(image_size, patch_size, in_channels, num_classes, dim, depth, num_heads))

    def forward(self, x):
        return super().forward(x)


class FeaturesDetached(MyViT):
    def forward(self, x):
        x = self.norm(self.encode(self.tokens(x) + self.pos_embed))
        return self.head(x[:, 0].detach())


class ClassTokenData(MyViT):
    def tokens(self, x):
        x = self.patch_embed(x)
        return torch.cat((self.cls_token.data.expand(x.shape[0], -1, -1), x), 1)


class PositionsData(MyViT):
    def forward(self, x):
        x = self.tokens(x) + self.pos_embed.data
        return self.head(self.norm(self.encode(x))[:, 0])


class ClassTokenAndPositionsData(ClassTokenData, PositionsData):
    pass


class BlocksWithoutGradient(MyViT):
    @torch.no_grad()
    def encode(self, x):
        return super().encode(x)


class WithoutGradient(MyViT):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class PicturesDetached(MyViT):
    def forward(self, x):
        return super().forward(x.detach())


class KeepsItsClassTokens(MyViT):
    first = None

    def tokens(self, x):
        x = self.patch_embed(x)
        if self.first is None:
            self.first = self.cls_token.expand(len(x), -1, -1)
        return torch.cat((self.first, x), 1)


class WithoutStar(MyViT):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
        super().__init__(image_size, patch_size, in_channels, num_classes, dim, depth, num_heads)
        self.blocks = nn.Sequential([EncoderBlock(dim, num_heads) for _ in range(depth)])


class WithoutStarOrList(MyViT):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
        super().__init__(image_size, patch_size, in_channels, num_classes, dim, depth, num_heads)
        self.blocks = nn.Sequential(EncoderBlock(dim, num_heads) for _ in range(depth))


class NoLastNorm(MyViT):
    def forward(self, x):
        return self.head(self.encode(self.tokens(x) + self.pos_embed)[:, 0])


class NormFirst(MyViT):
    def forward(self, x):
        return self.head(self.encode(self.norm(self.tokens(x) + self.pos_embed))[:, 0])


class NoPositions(MyViT):
    def forward(self, x):
        return self.head(self.norm(self.encode(self.tokens(x)))[:, 0])


class PositionsTooEarly(MyViT):
    def forward(self, x):
        x = self.tokens(x)
        x[:, 1:] = x[:, 1:] + self.pos_embed[:, 1:]
        return self.head(self.norm(self.encode(x))[:, 0])


class ClassTokenOnce(MyViT):
    def tokens(self, x):
        return torch.cat((self.cls_token, self.patch_embed(x)), 1)


class JoinedAlongTheBatch(MyViT):
    def tokens(self, x):
        x = self.patch_embed(x)
        return torch.cat((self.cls_token.repeat(x.shape[0], 1, 1), x))


class JoinedAlongTheNumbers(MyViT):
    def tokens(self, x):
        return torch.cat((self.cls_token.expand(len(x), -1, -1), self.patch_embed(x)), dim=-1)


class AddedToTheBlocks(MyViT):
    def forward(self, x):
        x = self.tokens(x) + self.pos_embed
        x = x + self.encode(x)
        return self.head(self.norm(x)[:, 0])


class AddedToEachBlock(MyViT):
    def encode(self, x):
        for block in self.blocks:
            x = block(x) + x
        return x


class PositionsInTwoAxes(MyViT):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, *more):
        super().__init__(image_size, patch_size, in_channels, num_classes, dim, *more)
        self.pos_embed = nn.Parameter(torch.zeros((image_size // patch_size) ** 2 + 1, dim))


class ClassTokenInOneAxis(MyViT):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, *more):
        super().__init__(image_size, patch_size, in_channels, num_classes, dim, *more)
        self.cls_token = nn.Parameter(torch.zeros(dim))

    def tokens(self, x):
        x = self.patch_embed(x)
        return torch.cat((self.cls_token.expand(len(x), 1, -1), x), 1)


class LinearPatchEmbedding(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, dim):
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Linear(in_channels * patch_size * patch_size, dim)

    def forward(self, images):
        return self.proj(patchify(images, self.patch_size))


class LinearPatches(MyViT):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, *more):
        super().__init__(image_size, patch_size, in_channels, num_classes, dim, *more)
        self.patch_embed = LinearPatchEmbedding(image_size, patch_size, in_channels, dim)


class ClassTokenLast(MyViT):
    def tokens(self, x):
        x = self.patch_embed(x)
        return torch.cat((x, self.cls_token.repeat(x.shape[0], 1, 1)), 1)


class ClassTokenLastAndRead(ClassTokenLast):
    def forward(self, x):
        return self.head(self.norm(self.encode(self.tokens(x) + self.pos_embed))[:, -1])


class LastPatch(MyViT):
    def forward(self, x):
        return self.head(self.norm(self.encode(self.tokens(x) + self.pos_embed)[:, -1]))


class MeanOfTokens(MyViT):
    def forward(self, x):
        return self.head(self.norm(self.encode(self.tokens(x) + self.pos_embed)).mean(dim=1))


class EveryToken(MyViT):
    def forward(self, x):
        return self.head(self.norm(self.encode(self.tokens(x) + self.pos_embed)))


class WithSoftmax(MyViT):
    def forward(self, x):
        return torch.softmax(super().forward(x), dim=1)


class SharedBlocks(MyViT):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.blocks = nn.Sequential(*[EncoderBlock(sizes[4], sizes[6])] * sizes[5])


class OneBlockTooFew(MyViT):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
        super().__init__(image_size, patch_size, in_channels, num_classes, dim, depth - 1, num_heads)


class BlocksInAList(MyViT):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        del self.blocks
        self.blocks = [EncoderBlock(sizes[4], sizes[6]) for _ in range(sizes[5])]


class PlainClassToken(MyViT):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        del self.cls_token
        self.cls_token = torch.zeros(1, 1, sizes[4])


class PositionsForPatches(MyViT):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, *more):
        super().__init__(image_size, patch_size, in_channels, num_classes, dim, *more)
        self.pos_embed = nn.Parameter(torch.zeros(1, (image_size // patch_size) ** 2, dim))


class PyTorchsEps(MyViT):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.norm = nn.LayerNorm(sizes[4])


class NotAModule:
    def __init__(self, *sizes):
        self.vit = MyViT(*sizes)

    def __call__(self, x):
        return self.vit(x)


class OtherNames(MyViT):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.classifier, self.head = self.head, None

    def forward(self, x):
        return self.classifier(self.norm(self.encode(self.tokens(x) + self.pos_embed))[:, 0])


class HeadForTwo(MyViT):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.head = nn.Linear(sizes[4], 7)


# ------------------------------------------------------------------------------------------ the clinic

FOUND = ["norm", "well", "class token", "dropout", "positions", "shared", "head"]


def all_found(patients):
    return dict(zip(patients, FOUND, strict=True))


def saying(**words):
    """Return an answer that is right but for some patients."""
    return lambda patients: {letter: words.get(letter, word) for letter, word in zip("ABCDEFG", FOUND, strict=True)}


def one_forgotten(patients):
    return {letter: word for letter, word in all_found(patients).items() if letter != "F"}


def as_a_list(patients):
    return FOUND


# ------------------------------------------------------------------------------------------ to several exercises


def a_list_of_logits(model, images):
    return list(line_by_line(model, images))


class FirstImage(MyViT):
    def forward(self, x):
        return self.head(self.norm(self.encode(self.tokens(x) + self.pos_embed)))[0]


def pairs_of_a_dictionary(weights):
    return renaming()(weights).items()


def well_unless_said(patients):
    words = collections.defaultdict(lambda: "well")
    return words | {letter: word for letter, word in all_found(patients).items() if word != "well"}


ANSWERS = {
    "vit_parameters": Answers(
        right=[by_building, by_pieces],
        wrong=[
            (wrong_count(1, "L*12*D*D + 13*D"), "your second number counts 13·D once."),
            (wrong_count(0, "(3*P*P + 1)*D + D + N*D"), "your first number lacks D"),
            (wrong_count(0, "(3*P*P + 1)*D + N*D"), "your first number lacks 2·D"),
            (wrong_count(0, "(P*P + 1)*D + D + (N + 1)*D"), "your first number takes one channel."),
            (wrong_count(0, "(3*P*P + 2)*D"), "your first number leaves out the positions"),
            (wrong_count(0, "N*(3*P*P + 1)*D + D + (N + 1)*D"), "your first number has a matrix for each patch."),
            (wrong_count(1, "12*D**2 + 13*D"), "your second number is that of one block."),
            (wrong_count(1, "12*L*D**2"), "your second number has the matrices alone."),
            (wrong_count(1, "L*D*(12*D + 9)"), "your second number leaves out the two norms"),
            (wrong_count(1, "L*D*(12*D + 11)"), "your second number gives each norm D numbers."),
            (wrong_count(1, "L*(8*D*D + 11*D)"), "your second number has an MLP that widens to 2·D"),
            (wrong_count(1, "L*(12*D*D + 4*D)"), "your second number leaves out the biases of the linear layers"),
            (wrong_count(2, "D + (D + 1)*K"), "your third number gives the last norm D numbers."),
            (one_sum, "you returned one sum."),
            (wrong_count(2, "(D + 1)*K"), "your third number leaves out the last norm"),
            (wrong_count(2, "D*K + 2*D"), "your third number leaves out the biases of the head"),
            (wrong_count(2, "2*D + (N + 1)*D*K + K"), "your third number lets the head read all tokens."),
            (wrong_count(2, "D*K"), "your third number is the head's matrix alone."),
        ],
        unknown=[wrong_count(1, "L*7")],
    ),
    "vit_forward": Answers(
        right=[a_list_of_logits, line_by_line, class_token_before_norm, from_parameters_and_single_images, by_classify],
        wrong=[
            (the_whole_model, "you called the whole model"),
            (its_forward, "you called the whole model"),
            (its_stages, "you called the whole model"),
            (through(lambda model: model.blocks[:-1]), "the last block is left out"),
            (through(lambda model: model.blocks[1:]), "the first block is left out."),
            (through(lambda model: (model.blocks[0] for _ in model.blocks)), "the first block works again and again"),
            (no_last_norm, "the last norm is missing."),
            (norm_before_blocks, "the last norm comes before the blocks."),
            (no_positions, "the positions were never added."),
            (positions_added_again, "x was added once too often"),
            (positions_before_class_token, "the positions came before the class token, or the class token is missing."),
            (forgets_the_class_token, "the positions came before the class token, or the class token is missing."),
            (no_class_token, "the positions came before the class token, or the class token is missing."),
            (class_token_as_a_tensor, "a part is no tensor."),
            (positions_as_a_tensor, "a part is no tensor."),
            (block_added_again, "x was added to each block's result."),
            (norm_inside_the_loop, "the last norm works after every block"),
            (norm_inside_the_loop_and_behind, "the last norm works after every block"),
            (mean_of_all, "you averaged all tokens."),
            (mean_of_patches, "you averaged the patches."),
            (last_token, "you read the last token."),
            (token_one, "you read token 1"),
            (first_image, "you took the first image of the batch."),
            (token_axis_kept, "the token axis is still there"),
            (every_token, "you classified every token."),
            (result_of_blocks_not_kept, "the blocks were left out, or their result was not kept"),
            (first_block_alone, "only the first block was used."),
            (blocks_side_by_side, "only the last block counted."),
            (no_head, "the head is missing"),
            (softmax, "you applied softmax."),
            (best_class, "you returned the number of the best class."),
        ],
        unknown=[one_too_much, another_type_error],
    ),
    "timm_names": Answers(
        right=[renaming(), by_cases],
        wrong=[
            (pairs_of_a_dictionary, "you returned the pairs of a dictionary"),
            (not_renamed, "nothing was renamed"),
            (first_name_alone, "all of your names are timm's, and some are not there"),
            (only_names, "you returned the names alone."),
            (one_digit, "blocks 10 and 11 are gone"),
            (from_one, "your blocks count from 1."),
            (renaming(**{r"blocks.\1.": r"layers.\1."}), "the blocks have another name"),
            (renaming(**{"attn.qkv.": "attn.qkv_"}), "in_proj_weight becomes attn.qkv.weight, with a dot"),
            (renaming(**{"mlp.fc2": "mlp.fc3"}), "mlp.3 becomes mlp.fc2"),
            (renaming(**{"mlp.fc1": "mlp.fc2", "mlp.fc2": "mlp.fc1"}), "fc1 and fc2 are swapped"),
            (swapped_norms, "norm1 and norm2 are swapped"),
            (renaming(head="heads"), "heads.head becomes head"),
            (
                renaming(cls_token="class_token", pos_embed="pos_embedding"),
                "the class token and the positions have other names",
            ),
            (block_7_alone, "only block 7 was renamed."),
            (renaming(**{r"blocks.\1.": r"blocks_\1."}), "between blocks and its number stands a dot"),
            (renaming(**{r"norm.": r"encoder.ln."}), "the last norm keeps its name"),
            (renaming(head="heads.head"), "the head keeps its name"),
            (renaming(**{"attn.qkv.": "attn.in_proj_"}), "inside attention a name of torchvision's is left"),
            (
                renaming(**{"attn.qkv.": "attn.in_proj_", "attn.proj": "attn.out_proj"}),
                "inside attention a name of torchvision's is left",
            ),
            (
                renaming(**{"attn.proj": "self_attention.out_proj"}),
                "inside attention a name of torchvision's is left",
            ),
            (prefix_kept, "the prefix `encoder.` is still there"),
            (inner_names_kept, "inside the blocks the norms and the MLP keep"),
        ],
        unknown=[head_thrown_away, other_tensors, no_tensors],
    ),
    "vit_from_parts": Answers(
        right=[MyViT, WithTheCoursesParts, Derived],
        wrong=[
            (FirstImage, "you took the first image of the batch"),
            (WithoutGradient, "no gradient arrives at your parameters"),
            (FeaturesDetached, "no gradient arrives at "),
            (BlocksWithoutGradient, "no gradient arrives at "),
            (ClassTokenData, "no gradient arrives at `cls_token`, so it never learns."),
            (PositionsData, "no gradient arrives at `pos_embed`, so it never learns."),
            (ClassTokenAndPositionsData, "no gradient arrives at `cls_token` and `pos_embed`, so they never learn."),
            (PicturesDetached, "no gradient goes on to what lies below your model"),
            (KeepsItsClassTokens, "called a second time, with another batch"),
            (WithoutStar, "nn.Sequential takes its blocks one by one"),
            (WithoutStarOrList, "nn.Sequential takes its blocks one by one"),
            (NoLastNorm, "the last norm is never used."),
            (NormFirst, "the last norm comes before the blocks."),
            (NoPositions, "the positions are never added"),
            (PositionsTooEarly, "the positions are added before the class token is there"),
            (ClassTokenOnce, "the class token is there once"),
            (JoinedAlongTheBatch, "the class token and the patches are joined along the wrong axis."),
            (JoinedAlongTheNumbers, "the class token and the patches are joined along the wrong axis."),
            (AddedToTheBlocks, "the tokens were added to what the blocks make of them."),
            (AddedToEachBlock, "the tokens were added to what the blocks make of them."),
            (PositionsInTwoAxes, "the class token or the positions lack the leading axis."),
            (ClassTokenInOneAxis, "the class token or the positions lack the leading axis."),
            (LinearPatches, "`proj` in your patch embedding is a linear layer."),
            (ClassTokenLast, "the class token stands behind the patches, and the head reads patch 0."),
            (ClassTokenLastAndRead, "the class token stands behind the patches, so every token"),
            (LastPatch, "the head reads the last patch."),
            (MeanOfTokens, "the head reads the mean of all tokens."),
            (EveryToken, "every token goes through the head."),
            (WithSoftmax, "softmax is applied."),
            (SharedBlocks, "all blocks are one and the same."),
            (OneBlockTooFew, "your model has 1 block, and `depth` is 2."),
            (BlocksInAList, "the blocks are in a Python list"),
            (PlainClassToken, "the class token or the positions are plain tensors"),
            (PositionsForPatches, "there are positions for N tokens."),
            (PyTorchsEps, "your last norm has PyTorch's usual ε"),
            (NotAModule, "your class is no nn.Module"),
        ],
        unknown=[OtherNames, HeadForTwo],
    ),
    "clinic": Answers(
        right=[well_unless_said, all_found, saying()],
        wrong=[
            (saying(A="well"), "look at patient A's size"),
            (saying(B="dropout"), "look at patient B's line again"),
            (saying(C="head"), "look at which token of patient C"),
            (saying(D="shared"), "ask patient D the same question twice."),
            (saying(E="class token"), "shuffle the patches of patient E."),
            (saying(F="well"), "compare patient F's number of parameters"),
            (saying(G="class token"), "look at which token patient G's head reads."),
            (as_a_list, "Return a dict"),
            (saying(B="healthy"), "the word for patient "),
            (one_forgotten, "there is no word for patient "),
        ],
    ),
}
