"""Lessons 0 to 3."""

# ruff: noqa: E501  a line for each slip

from exercises.corpus import Slips

SLIPS = {
    "count_tokens": Slips(
        """
        def count_tokens(image_size, patch_size):
            return (image_size // patch_size) ** 2
        """,
        (
            "** 2 => * 2",
            "(image_size // patch_size) ** 2 => image_size ** 2 // patch_size * 2",
            "// => *",
            "image_size // patch_size => image_size - patch_size",
            "(image_size // patch_size) ** 2 => image_size * patch_size",
            "image_size // patch_size => image_size // patch_size - 1",
            "image_size // patch_size => image_size // patch_size + 1",
            "** 2 => ** 3",
            "(image_size // patch_size) ** 2 => (image_size // patch_size) ** 2 * 3",
            "(image_size // patch_size) ** 2 => 4",
            "(image_size // patch_size) ** 2 => 196",
            "image_size // patch_size => patch_size // image_size",
            "image_size // patch_size => img_size // patch_size",
            "(image_size // patch_size) ** 2 => (image_size // patch_size, image_size // patch_size)",
            "return (image_size // patch_size) ** 2 => print((image_size // patch_size) ** 2)",
            "(image_size // patch_size) ** 2 => image_size / 2 ** patch_size",
            "(image_size // patch_size) ** 2 => (image_size ** 2) // (patch_size ** 2 * 3)",
        ),
    ),
    "sequence_shape": Slips(
        """
        def my_sequence_shape(height, width, P, channels):
            num_tokens = (height // P) * (width // P)
            return num_tokens, P * P * channels
        """,
        (
            "(height // P) * (width // P) => height * width // P",
            "P * P * channels => P * channels * 2",
            "P * P * channels => height * width * channels",
            "(height // P) * (width // P) => (height // P) ** 2",
            "(height // P) * (width // P) => height // P, width // P",
            "num_tokens, P => num_tokens * channels, P",
            "(width // P) => width // P ** 2",
            "P * P * channels => P ** 3",
            "num_tokens, P * P * channels => num_tokens",
            "num_tokens, P * P * channels => P * P * channels",
            "num_tokens, P * P * channels => num_tokens * P * P * channels",
            "P * P * channels => P * P + channels",
            "(height // P) * (width // P) => (height * width) // (P * P * channels)",
            "(width // P) => (height // P)",
            "num_tokens, P * P * channels => 1, num_tokens, P * P * channels",
            "(height // P) * (width // P) => (height // P + 1) * (width // P + 1)",
            "P * P * channels => P * P * 3",
        ),
    ),
    "patchify": Slips(
        """
        def my_patchify(images, P):
            B, C, H, W = images.shape
            split = images.reshape(B, C, H // P, P, W // P, P)
            ordered = split.permute(0, 2, 4, 3, 5, 1)
            return ordered.reshape(B, (H // P) * (W // P), P * P * C)
        """,
        (
            "H // P, P, W // P, P => H // P, W // P, P, P",
            "0, 2, 4, 3, 5, 1 => 0, 2, 3, 4, 5, 1",
            "0, 2, 4, 3, 5, 1 => 0, 1, 2, 4, 3, 5",
            "0, 2, 4, 3, 5, 1 => 0, 3, 5, 2, 4, 1",
            "ordered.reshape => ordered.view",
            "split.permute(0, 2, 4, 3, 5, 1) => split",
            "0, 2, 4, 3, 5, 1 => 0, 4, 2, 5, 3, 1",
            "B, (H // P) * (W // P), P * P * C => B, P * P * C, (H // P) * (W // P)",
            "P * P * C => P * P",
            "B, C, H, W = images.shape => C, H, W = images.shape",
            "B, C, H, W = images.shape => B, H, W, C = images.shape",
            "H // P, P, W // P, P => P, H // P, P, W // P",
            "0, 2, 4, 3, 5, 1 => 0, 2, 4, 1, 3, 5",
            "H // P => H / P",
            "0, 2, 4, 3, 5, 1 => 2, 4, 0, 3, 5, 1",
            "reshape(B, (H // P) * (W // P), P * P * C) => flatten(1)",
            "(H // P) * (W // P) => H // P",
            "split.permute(0, 2, 4, 3, 5, 1) => split.permute(2, 4, 3, 5, 1)",
            "split.permute(0, 2, 4, 3, 5, 1) => split.transpose(2, 4)",
            "B, (H // P) * (W // P), P * P * C => -1, P * P * C",
            "split.permute(0, 2, 4, 3, 5, 1) => split.permute(0, 2, 4, 3, 5, 1).float() / 255",
            "def my_patchify(images, P):\n    rows = images.unfold(2, P, P)\n    return rows.flatten(1)",
        ),
    ),
    "unpatchify": Slips(
        """
        def my_unpatchify(patches, P, height, width):
            B, N, numbers = patches.shape
            split = patches.reshape(B, height // P, width // P, P, P, numbers // (P * P))
            ordered = split.permute(0, 5, 1, 3, 2, 4)
            return ordered.reshape(B, -1, height, width)
        """,
        (
            "0, 5, 1, 3, 2, 4 => 0, 5, 1, 2, 3, 4",
            "0, 5, 1, 3, 2, 4 => 0, 5, 3, 1, 4, 2",
            "0, 5, 1, 3, 2, 4 => 0, 1, 3, 2, 4, 5",
            "0, 5, 1, 3, 2, 4 => 0, 5, 2, 4, 1, 3",
            "height // P, width // P => width // P, height // P",
            "P, P, numbers // (P * P) => numbers // (P * P), P, P",
            "split.permute(0, 5, 1, 3, 2, 4) => split",
            "numbers // (P * P) => 3",
            "ordered.reshape(B, -1, height, width) => ordered.reshape(B, -1, width, height)",
            "ordered.reshape(B, -1, height, width) => ordered.reshape(B, height, width, -1)",
            "ordered.reshape => ordered.view",
            "0, 5, 1, 3, 2, 4 => 0, 5, 1, 4, 2, 3",
            "ordered.reshape(B, -1, height, width) => ordered",
            "ordered.reshape(B, -1, height, width) => ordered.reshape(-1, height, width)",
            "B, N, numbers = patches.shape => N, numbers = patches.shape ;; split = patches.reshape(B,  => split = patches.reshape(1, ",
            "(B, height // P, width // P => (B, int(N ** 0.5), int(N ** 0.5)",
            "0, 5, 1, 3, 2, 4 => 0, 5, 3, 1, 2, 4",
            "numbers // (P * P) => numbers / (P * P)",
            "return ordered.reshape(B, -1, height, width) => return F.fold(patches.transpose(1, 2), (height, width), P, stride=P)",
        ),
    ),
    "patch_embedding": Slips(
        """
        class MyPatchEmbedding(nn.Module):
            def __init__(self, image_size, patch_size, in_channels=3, dim=768):
                super().__init__()
                self.proj = nn.Conv2d(in_channels, dim, kernel_size=patch_size, stride=patch_size)

            def forward(self, images):
                x = self.proj(images)
                return x.flatten(2).transpose(1, 2)
        """,
        (
            "stride=patch_size => padding=patch_size",
            ".flatten(2).transpose(1, 2) => .flatten(1)",
            ".flatten(2).transpose(1, 2) => .flatten(2).transpose(0, 1)",
            ".flatten(2).transpose(1, 2) => .transpose(1, 2).flatten(2)",
            "in_channels, dim => dim, in_channels",
            "in_channels, dim => 3, dim",
            "in_channels, dim => in_channels, 768",
            "super().__init__() => pass",
            "self.proj = nn => proj = nn",
            "stride=patch_size) => stride=patch_size, bias=False)",
            "return x.flatten(2).transpose(1, 2) => x.flatten(2).transpose(1, 2)",
            "kernel_size=patch_size, stride=patch_size => kernel_size=patch_size, stride=patch_size // 2",
            ".flatten(2).transpose(1, 2) => .flatten(2).transpose(1, 2).relu()",
            ".flatten(2).transpose(1, 2) => .flatten(2).transpose(1, 2).mean(1)",
            "def forward(self, images) => def forward(images)",
            "def forward => def forwards",
            ".flatten(2).transpose(1, 2) => .permute(0, 3, 2, 1).flatten(1, 2)",
            "stride=patch_size) => stride=patch_size, padding=1)",
            "kernel_size=patch_size, stride=patch_size => patch_size",
            "(nn.Module) => ",
            """
            class MyPatchEmbedding(nn.Module):
                def __init__(self, image_size, patch_size, in_channels=3, dim=768):
                    super().__init__()
                    self.P, self.dim, self.C = patch_size, dim, in_channels

                def forward(self, images):
                    proj = nn.Conv2d(self.C, self.dim, self.P, self.P)
                    return proj(images).flatten(2).transpose(1, 2)
            """,
        ),
    ),
    "overlapping_patches": Slips(
        """
        def my_overlapping_patches(images, P, stride):
            B, C, H, W = images.shape
            windows = images.unfold(2, P, stride).unfold(3, P, stride)
            ordered = windows.permute(0, 2, 3, 4, 5, 1)
            return ordered.reshape(B, windows.shape[2] * windows.shape[3], P * P * C)
        """,
        (
            "P, stride).unfold(3, P, stride) => P, P).unfold(3, P, P)",
            ".unfold(3, P, stride) => .unfold(3, P, P)",
            "0, 2, 3, 4, 5, 1 => 0, 2, 3, 1, 4, 5",
            "0, 2, 3, 4, 5, 1 => 0, 3, 2, 4, 5, 1",
            "0, 2, 3, 4, 5, 1 => 0, 2, 3, 5, 4, 1",
            "0, 2, 3, 4, 5, 1 => 0, 4, 5, 2, 3, 1",
            "windows.shape[2] * windows.shape[3] => (H // P) * (W // P)",
            "windows.shape[2] * windows.shape[3] => (H - P) // stride * (W - P) // stride",
            "unfold(2, P, stride) => unfold(2, stride, P)",
            "windows.permute(0, 2, 3, 4, 5, 1) => windows",
            "0, 2, 3, 4, 5, 1 => 0, 2, 3, 4, 5",
            "P * P * C => P * P",
            "images.unfold(2, P, stride).unfold(3, P, stride) => images.unfold(1, P, stride).unfold(2, P, stride)",
            "return ordered.reshape(B, windows.shape[2] * windows.shape[3], P * P * C) => return ordered",
            ".unfold(3, P, stride) => .unfold(3, P, 1)",
            "return ordered.reshape(B, windows.shape[2] * windows.shape[3], P * P * C) => return F.unfold(images, P, stride=stride)",
            "return ordered.reshape(B, windows.shape[2] * windows.shape[3], P * P * C) => return ordered.flatten(0, 2).flatten(1)",
            "return ordered.reshape(B, windows.shape[2] * windows.shape[3], P * P * C) => return ordered.flatten(1, 2).flatten(2).flip(1)",
        ),
    ),
    "count_class_token": Slips(
        """
        def count_class_token(image_size, patch_size, dim):
            length = (image_size // patch_size) ** 2 + 1
            return length, 0, dim
        """,
        (
            "+ 1 => ",
            "+ 1 => + 2",
            "** 2 => * 2",
            "length, 0, dim => length, 0, dim * length",
            "length, 0, dim => length, 1, dim",
            "length, 0, dim => length, length, dim",
            "length, 0, dim => length, length - 1, dim",
            "length, 0, dim => 0, length, dim",
            "length, 0, dim => length, dim, 0",
            "length, 0, dim => length, 0",
            "length, 0, dim => length, 0, 3 * dim",
            "length, 0, dim => length, 0, dim + 1",
            "length, 0, dim => length, 0, dim ** 2",
            "length, 0, dim => length",
            "+ 1 =>  ;; length, 0, dim => length, 1, dim",
            "** 2 + 1 => ** 2 * dim + 1",
            "length, 0, dim => length, 0, patch_size * patch_size * 3 * dim",
            "length, 0, dim => length + 0 + dim",
        ),
    ),
    "add_class_token": Slips(
        """
        def add_class_token(tokens, cls_token):
            B, N, D = tokens.shape
            first = cls_token.expand(B, 1, D)
            return torch.cat([first, tokens], dim=1)
        """,
        (
            "[first, tokens] => [tokens, first]",
            "dim=1 => dim=0",
            "dim=1 => dim=2",
            "dim=1 => dim=-1",
            "expand(B, 1, D) => expand(B, N, D)",
            "cls_token.expand(B, 1, D) => cls_token",
            "[first, tokens] => first, tokens",
            "torch.cat([first, tokens], dim=1) => first + tokens",
            "torch.cat([first, tokens], dim=1) => torch.stack([first, tokens], dim=1)",
            "cls_token.expand(B, 1, D) => cls_token.repeat(B, 1, D)",
            "expand(B, 1, D) => expand(B, D)",
            "cls_token.expand(B, 1, D) => torch.zeros(B, 1, D)",
            "B, N, D = tokens.shape => N, D = tokens.shape ;; expand(B => expand(1",
            "tokens], dim=1) => tokens[:, 1:]], dim=1)",
            "torch.cat([first, tokens], dim=1) => first",
            "[first, tokens] => [first, first, tokens]",
            "[first, tokens] => [first, tokens, first]",
            "cls_token.expand(B, 1, D) => cls_token.mean().expand(B, 1, D)",
            "[first, tokens], dim=1) => [first, tokens], dim=1).mean(0)",
            "cls_token.expand(B, 1, D) => 2 * cls_token.expand(B, 1, D)",
            "[first, tokens] => [first, tokens.flip(1)]",
        ),
    ),
    "class_token": Slips(
        """
        class MyClassToken(nn.Module):
            def __init__(self, dim):
                super().__init__()
                self.token = nn.Parameter(torch.zeros(1, 1, dim))

            def forward(self, tokens):
                B = len(tokens)
                return torch.cat([self.token.expand(B, -1, -1), tokens], dim=1)
        """,
        (
            "nn.Parameter(torch.zeros(1, 1, dim)) => torch.zeros(1, 1, dim)",
            "nn.Parameter(torch.zeros(1, 1, dim)) => [nn.Parameter(torch.zeros(1, 1, dim))]  ;; self.token.expand => self.token[0].expand",
            "torch.zeros(1, 1, dim) => torch.zeros(1, 1, 1)",
            "torch.zeros(1, 1, dim) => torch.zeros(dim)",
            "torch.zeros(1, 1, dim) => torch.zeros(dim, 1, 1)",
            "dim=1) => dim=0)",
            "[self.token.expand(B, -1, -1), tokens] => [tokens, self.token.expand(B, -1, -1)]",
            "self.token.expand(B, -1, -1) => self.token",
            "self.token.expand(B, -1, -1) => self.token.expand_as(tokens)",
            "super().__init__() => ",
            "self.token = => token =",
            "self.token.expand(B, -1, -1) => self.token.detach().expand(B, -1, -1)",
            "torch.zeros(1, 1, dim)) => torch.zeros(1, 1, dim), requires_grad=False)",
            "torch.cat([self.token.expand(B, -1, -1), tokens], dim=1) => tokens + self.token",
            "self.token.expand(B, -1, -1) => torch.randn(B, 1, tokens.shape[2])",
            "self.token.expand(B, -1, -1), tokens], dim=1) => self.token.expand(B, -1, -1), tokens], dim=1)[:, 0]",
            "torch.zeros(1, 1, dim) => torch.zeros(64, 1, dim) ;; self.token.expand(B, -1, -1) => self.token[:B]",
            "nn.Parameter(torch.zeros(1, 1, dim)) => nn.Linear(dim, dim) ;; self.token.expand(B, -1, -1) => self.token(tokens[:, :1])",
            "self.token.expand => self.cls.expand",
            "def __init__(self, dim) => def __init__(self)",
        ),
    ),
    "pool": Slips(
        """
        def pool(tokens, how):
            if how == "cls":
                return tokens[:, 0]
            else:
                return tokens[:, 1:].mean(dim=1)
        """,
        (
            "tokens[:, 1:] => tokens",
            "mean(dim=1) => mean(dim=0)",
            "mean(dim=1) => mean(dim=2)",
            "mean(dim=1) => sum(dim=1)",
            "mean(dim=1) => max(dim=1)",
            "mean(dim=1) => mean()",
            "tokens[:, 0] => tokens[0]",
            "tokens[:, 0] => tokens[:, -1]",
            "tokens[:, 0] => tokens[:, 1]",
            "tokens[:, 0] => tokens[:, :1]",
            'how == "cls" => how == "mean"',
            "tokens[:, 0] => tokens[..., 0]",
            "tokens[:, 1:] => tokens[1:]",
            "tokens[:, 1:] => tokens[:, 2:]",
            "tokens[:, 1:] => tokens[:, :-1]",
            "mean(dim=1) => mean(dim=1, keepdim=True)",
            "mean(dim=1) => median(dim=1).values",
            "mean(dim=1) => min(dim=1).values",
            "mean(dim=1) => mean(dim=1) / tokens.shape[1]",
            "mean(dim=1) => mean(dim=(1, 2))",
            'how == "cls" => how is "CLS"',
            "return tokens[:, 1:] => tokens[:, 1:]",
            "tokens[:, 0] => tokens[:, 0].softmax(-1)",
            "tokens[:, 0] => tokens[:, 0] + tokens[:, 1:].mean(dim=1)",
        ),
    ),
    "attention_pool": Slips(
        """
        def attention_pool(tokens, query):
            scores = tokens @ query
            weights = scores.softmax(dim=1)
            return (weights[:, :, None] * tokens).sum(dim=1)
        """,
        (
            "softmax(dim=1) => softmax(dim=0)",
            "scores.softmax(dim=1) => scores",
            "tokens @ query => tokens @ query / math.sqrt(tokens.shape[-1])",
            "tokens @ query => tokens * query",
            "sum(dim=1) => mean(dim=1)",
            "sum(dim=1) => sum(dim=2)",
            "sum(dim=1) => sum(dim=-1)",
            "weights[:, :, None] => weights",
            ".sum(dim=1) => ",
            "weights[:, :, None] * tokens => weights[:, :, None] * query",
            "scores.softmax(dim=1) => scores.exp()",
            "scores.softmax(dim=1) => scores.softmax(dim=1).round()",
            "tokens @ query => query @ tokens",
            "tokens @ query => -(tokens @ query)",
            "scores.softmax(dim=1) => scores.log_softmax(dim=1)",
            "(weights[:, :, None] * tokens).sum(dim=1) => weights",
            "(weights[:, :, None] * tokens).sum(dim=1) => weights @ tokens",
            "scores.softmax(dim=1) => scores / scores.norm(dim=1, keepdim=True)",
            "scores.softmax(dim=1) => torch.softmax(scores)",
            "tokens @ query => 2 * tokens @ query",
            "tokens @ query => tokens.sum(-1) * query.sum()",
            "(weights[:, :, None] * tokens).sum(dim=1) => tokens[:, weights.argmax(1)]",
        ),
    ),
    "position_parameters": Slips(
        """
        def my_position_parameters(image_size, patch_size, dim):
            num_patches = (image_size // patch_size) ** 2
            return (num_patches + 1) * dim
        """,
        (
            "num_patches + 1 => num_patches",
            "(num_patches + 1) * dim => num_patches + 1 * dim",
            "(num_patches + 1) * dim => num_patches * dim + 1",
            "** 2 => * 2",
            "(num_patches + 1) * dim => num_patches + 1",
            "num_patches + 1 => num_patches + 2",
            "(num_patches + 1) * dim => (num_patches + 1) * dim * 2",
            "num_patches + 1 => num_patches - 1",
            "(num_patches + 1) * dim => (num_patches + 1) * dim * 3",
            "(num_patches + 1) * dim => (num_patches + 1) * dim ** 2",
            "(num_patches + 1) * dim => dim",
            "(num_patches + 1) * dim => (num_patches + 1, dim)",
            "(num_patches + 1) * dim => (num_patches + 1) * patch_size ** 2 * 3",
            "(num_patches + 1) * dim => (num_patches + 1) * (dim + 1)",
            "image_size // patch_size => image_size * patch_size",
            "(num_patches + 1) * dim => image_size ** 2 * dim",
            "(num_patches + 1) * dim => 1, num_patches + 1, dim",
        ),
    ),
    "is_equivariant": Slips(
        """
        def my_is_equivariant(layer, tokens, order):
            shuffled_before = layer(tokens[:, order])
            shuffled_after = layer(tokens)[:, order]
            return torch.allclose(shuffled_before, shuffled_after, atol=1e-5)
        """,
        (
            "layer(tokens)[:, order] => layer(tokens)",
            "tokens[:, order] => tokens[order]",
            "layer(tokens)[:, order] => layer(tokens)[order]",
            "torch.allclose(shuffled_before, shuffled_after, atol=1e-5) => shuffled_before == shuffled_after",
            "torch.allclose(shuffled_before, shuffled_after, atol=1e-5) => torch.equal(shuffled_before, shuffled_after)",
            "atol=1e-5 => atol=1",
            "atol=1e-5 => atol=0.1",
            "torch.allclose(shuffled_before, shuffled_after, atol=1e-5) => (shuffled_before - shuffled_after).max() < 1e-5",
            "torch.allclose(shuffled_before, shuffled_after, atol=1e-5) => (shuffled_before - shuffled_after).abs().mean() < 1e-5",
            "torch.allclose(shuffled_before, shuffled_after, atol=1e-5) => (shuffled_before - shuffled_after).sum() < 1e-5",
            "torch.allclose => not torch.allclose",
            "torch.allclose(shuffled_before, shuffled_after, atol=1e-5) => shuffled_before.mean() == shuffled_after.mean()",
            "torch.allclose(shuffled_before, shuffled_after, atol=1e-5) => torch.isclose(shuffled_before, shuffled_after, atol=1e-5)",
            "layer(tokens[:, order]) => layer(tokens)[:, order]",
            "torch.allclose(shuffled_before, shuffled_after, atol=1e-5) => True",
            "torch.allclose(shuffled_before, shuffled_after, atol=1e-5) => shuffled_before is shuffled_after",
            "tokens[:, order]) => tokens[:, :, order])",
            "layer(tokens)[:, order] => tokens[:, order]",
            "torch.allclose(shuffled_before, shuffled_after, atol=1e-5) => torch.allclose(shuffled_before[0], shuffled_after[0])",
            "torch.allclose(shuffled_before, shuffled_after, atol=1e-5) => (shuffled_before - shuffled_after).abs().max()",
        ),
    ),
    "position_embedding": Slips(
        """
        class MyPositionEmbedding(nn.Module):
            def __init__(self, num_tokens, dim):
                super().__init__()
                self.pos_embed = nn.Parameter(torch.zeros(1, num_tokens, dim))

            def forward(self, tokens):
                return tokens + self.pos_embed
        """,
        (
            "nn.Parameter(torch.zeros(1, num_tokens, dim)) => torch.zeros(1, num_tokens, dim)",
            "nn.Parameter(torch.zeros(1, num_tokens, dim)) => torch.zeros(1, num_tokens, dim, requires_grad=True)",
            "num_tokens, dim)) => num_tokens + 1, dim))",
            "num_tokens, dim)) => num_tokens + 1, dim)) ;; self.pos_embed\n => self.pos_embed[:, :tokens.shape[1]]\n",
            "tokens + self.pos_embed => tokens * self.pos_embed",
            "tokens + self.pos_embed => self.pos_embed",
            "tokens + self.pos_embed => torch.cat([tokens, self.pos_embed.expand_as(tokens)], dim=2)",
            "tokens + self.pos_embed => tokens - self.pos_embed",
            "(1, num_tokens, dim) => (1, 1, dim)",
            "(1, num_tokens, dim) => (1, num_tokens, 1)",
            "(1, num_tokens, dim) => (1, dim, num_tokens)",
            "(1, num_tokens, dim) => (dim, num_tokens) ;; self.pos_embed\n => self.pos_embed.T.flip(0)\n",
            "tokens + self.pos_embed => tokens + self.pos_embed + self.pos_embed",
            "super().__init__() => ",
            "tokens + self.pos_embed => tokens + self.pos_embed.detach()",
            "nn.Parameter(torch.zeros(1, num_tokens, dim)) => nn.Linear(dim, dim) ;; + self.pos_embed => + self.pos_embed(tokens)",
            "return tokens + self.pos_embed => tokens + self.pos_embed",
            "(1, num_tokens, dim) => (8, num_tokens, dim) ;; self.pos_embed\n => self.pos_embed[:len(tokens)]\n",
            "tokens + self.pos_embed => torch.cat([self.pos_embed.expand_as(tokens), tokens], dim=1)",
            "tokens + self.pos_embed => tokens[:, 1:] + self.pos_embed[:, 1:]",
            "self.pos_embed = nn => self.table = nn",
            """
            class MyPositionEmbedding(nn.Module):
                def __init__(self, num_tokens, dim):
                    super().__init__()
                    self.table = [nn.Parameter(torch.zeros(dim)) for _ in range(num_tokens)]

                def forward(self, tokens):
                    return tokens + torch.stack(self.table)
            """,
        ),
    ),
    "sincos_1d": Slips(
        """
        def my_sincos_1d(num_positions, dim):
            pos = torch.arange(num_positions, dtype=torch.float64)[:, None]
            i = torch.arange(dim // 2, dtype=torch.float64)
            angle = pos / 10_000 ** (2 * i / dim)
            table = torch.zeros(num_positions, dim)
            table[:, 0::2] = angle.sin()
            table[:, 1::2] = angle.cos()
            return table
        """,
        (
            "2 * i / dim => i / dim",
            "2 * i / dim => 2 * i / (dim // 2)",
            "10_000 => 1_000",
            "pos / 10_000 => pos * 10_000",
            "angle.sin() => angle.cos() ;; 1::2] = angle.cos() => 1::2] = angle.sin()",
            "[:, None] => ",
            "torch.arange(num_positions => torch.arange(1, num_positions + 1",
            "torch.arange(dim // 2 => torch.arange(1, dim // 2 + 1",
            "torch.arange(dim // 2 => torch.arange(dim",
            "table[:, 0::2] => table[:, :dim // 2] ;; table[:, 1::2] => table[:, dim // 2:]",
            "table[:, 1::2] = angle.cos() => pass",
            "angle.sin() => angle",
            "zeros(num_positions, dim) => zeros(dim, num_positions)",
            "return table => return table + 1",
            "return table => return angle",
            "pos / 10_000 ** (2 * i / dim) => pos / (10_000 * 2 * i / dim)",
            "pos / 10_000 => 2 * math.pi * pos / 10_000",
            "angle.sin() => torch.sin(pos) ;; angle.cos() => torch.cos(pos)",
            "10_000 ** (2 * i / dim) => 10_000 ** 2 * i / dim",
            "table[:, 0::2] => table[0::2] ;; table[:, 1::2] => table[1::2]",
            "(2 * i / dim) => (2 * i // dim)",
            "return table => return table / math.sqrt(dim)",
            "1::2] = angle.cos() => 1::2] = (pos / 10_000 ** ((2 * i + 1) / dim)).cos()",
        ),
    ),
    "sincos_2d": Slips(
        """
        def my_sincos_2d(rows, columns, dim):
            n = torch.arange(rows * columns)
            x, y = n % columns, n // columns
            omega = 10_000 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4 - 1))
            along, down = x[:, None] * omega, y[:, None] * omega
            return torch.cat([along.sin(), along.cos(), down.sin(), down.cos()], dim=1).float()
        """,
        (
            "n % columns, n // columns => n // columns, n % columns",
            "n % columns, n // columns => n % rows, n // rows",
            "(dim // 4 - 1) => (dim // 4)",
            "dim // 4 => dim // 2",
            "10_000 ** - => 10_000 ** ",
            "along.sin(), along.cos(), down.sin(), down.cos() => along.sin(), down.sin(), along.cos(), down.cos()",
            "along.sin(), along.cos(), down.sin(), down.cos() => down.sin(), down.cos(), along.sin(), along.cos()",
            "along.sin(), along.cos(), down.sin(), down.cos() => along.cos(), along.sin(), down.cos(), down.sin()",
            "dim=1 => dim=0",
            "[along.sin(), along.cos(), down.sin(), down.cos()], dim=1) => [along.sin(), along.cos()], dim=1)",
            "10_000 => 100",
            "rows * columns => columns",
            "x[:, None] * omega => x[:, None] / omega",
            "along.sin(), along.cos(), down.sin(), down.cos() => along.sin(), along.sin(), down.sin(), down.sin()",
            "x[:, None] * omega, y[:, None] * omega => x * omega, y * omega",
            "n // columns\n => n // columns + 1\n",
            "[along.sin(), along.cos(), down.sin(), down.cos()], dim=1) => [along.sin() + down.sin(), along.cos() + down.cos()], dim=1)",
            "n // columns\n => n / columns\n",
            "dim=1).float() => dim=1).float().reshape(rows, columns, dim)",
            "torch.cat([along.sin(), along.cos(), down.sin(), down.cos()], dim=1) => torch.stack([along.sin(), along.cos(), down.sin(), down.cos()], dim=1)",
            "dim=1).float() => dim=1).T.float()",
        ),
    ),
    "interpolate_positions": Slips(
        """
        def my_interpolate_positions(pos_embed, old, new):
            class_row, patch_rows = pos_embed[:, :1], pos_embed[:, 1:]
            grid = patch_rows.reshape(1, old, old, -1).permute(0, 3, 1, 2)
            grid = F.interpolate(grid, size=(new, new), mode="bicubic", antialias=True)
            rows = grid.permute(0, 2, 3, 1).reshape(1, new * new, -1)
            return torch.cat([class_row, rows], dim=1)
        """,
        (
            '"bicubic", antialias=True => "bilinear", antialias=True',
            ", antialias=True => ",
            ', mode="bicubic", antialias=True => ',
            "[class_row, rows] => [rows, class_row]",
            "torch.cat([class_row, rows], dim=1) => rows",
            ".permute(0, 3, 1, 2) => .permute(0, 3, 2, 1)",
            "grid.permute(0, 2, 3, 1).reshape(1, new * new, -1) => grid.reshape(1, new * new, -1)",
            "patch_rows.reshape(1, old, old, -1).permute(0, 3, 1, 2) => patch_rows.reshape(1, -1, old, old)",
            "size=(new, new) => size=new * new",
            "patch_rows.reshape => pos_embed.reshape",
            "pos_embed[:, 1:] => pos_embed[:, :-1]",
            ".permute(0, 3, 1, 2) => ",
            "dim=1 => dim=0",
            "[class_row, rows] => [class_row * 0, rows]",
            "pos_embed[:, :1], pos_embed[:, 1:] => pos_embed[:1], pos_embed[1:]",
            "antialias=True => antialias=True, align_corners=True",
            "pos_embed[:, :1] => pos_embed[:, 0]",
            "[class_row, rows] => [class_row, rows.flip(1)]",
            "[class_row, rows] => [class_row, rows * new / old]",
            "[class_row, rows] => [class_row + rows.mean(1, keepdim=True), rows]",
        ),
    ),
}
