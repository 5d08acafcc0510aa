"""Lessons 6, 7 and 11."""

# ruff: noqa: E501  a line for each slip

from exercises.corpus import Slips

SLIPS = {
    "block_parameters": Slips(
        """
        def my_block_parameters(dim, hidden_dim):
            attention = dim * 3 * dim + 3 * dim + dim * dim + dim
            mlp = dim * hidden_dim + hidden_dim + hidden_dim * dim + dim
            return attention, mlp, 2 * (dim + dim)
        """,
        (
            "+ 3 * dim + dim * dim => + dim * dim",
            "dim * 3 * dim + 3 * dim + dim * dim + dim => 4 * dim * dim",
            "dim * 3 * dim + 3 * dim + dim * dim + dim => 3 * dim * dim + 3 * dim",
            "dim * 3 * dim + 3 * dim + dim * dim + dim => 4 * dim * dim + dim",
            "dim * hidden_dim + hidden_dim + hidden_dim * dim + dim => 2 * dim * hidden_dim",
            "dim * hidden_dim + hidden_dim + hidden_dim * dim + dim => dim * hidden_dim + hidden_dim",
            "dim * hidden_dim + hidden_dim + hidden_dim * dim + dim => 8 * dim * dim + 5 * dim",
            "+ hidden_dim * dim + dim => + hidden_dim * dim + hidden_dim",
            "2 * (dim + dim) => 2 * dim",
            "2 * (dim + dim) => dim",
            "2 * (dim + dim) => 4",
            "2 * (dim + dim) => 0",
            "2 * (dim + dim) => 3 * (dim + dim)",
            "attention, mlp, 2 * (dim + dim) => attention + mlp + 2 * (dim + dim)",
            "attention, mlp, 2 * (dim + dim) => mlp, attention, 2 * (dim + dim)",
            "attention, mlp, 2 * (dim + dim) => attention, mlp",
            "2 * (dim + dim) => 2 * (dim + hidden_dim)",
            "dim * hidden_dim + hidden_dim + hidden_dim * dim + dim => (dim + 1) * hidden_dim * 2",
            "dim * 3 * dim + 3 * dim + dim * dim + dim => 12 * dim * dim",
        ),
    ),
    "layer_norm": Slips(
        """
        def my_layer_norm(z, gamma, beta, eps):
            mean = z.mean(dim=-1, keepdim=True)
            variance = z.var(dim=-1, keepdim=True, correction=0)
            return gamma * (z - mean) / torch.sqrt(variance + eps) + beta
        """,
        (
            ", correction=0 => ",
            "z.mean(dim=-1, keepdim=True) => z.mean(dim=1, keepdim=True)",
            "z.mean(dim=-1, keepdim=True) => z.mean()",
            "dim=-1 => dim=1",
            "dim=-1 => dim=0",
            "z.mean(dim=-1, keepdim=True) => z.mean(dim=-1)",
            "torch.sqrt(variance + eps) => variance + eps",
            "torch.sqrt(variance + eps) => torch.sqrt(variance) + eps",
            "torch.sqrt(variance + eps) => torch.sqrt(variance)",
            "variance + eps => variance - eps",
            "gamma * => ",
            " + beta => ",
            "+ beta => - beta",
            "gamma * (z - mean) => gamma * z - mean",
            "(z - mean) => z",
            "(z - mean) => (z + mean)",
            "gamma * (z - mean) / torch.sqrt(variance + eps) + beta => beta * (z - mean) / torch.sqrt(variance + eps) + gamma",
            "gamma * (z - mean) / torch.sqrt(variance + eps) + beta => gamma * ((z - mean) / torch.sqrt(variance + eps) + beta)",
            "/ torch.sqrt(variance + eps) => * torch.sqrt(variance + eps)",
            "z.var(dim=-1, keepdim=True, correction=0) => z.std(dim=-1, keepdim=True, correction=0)",
            "z.var(dim=-1, keepdim=True, correction=0) => (z ** 2).mean(dim=-1, keepdim=True)",
            "z.var(dim=-1, keepdim=True, correction=0) => (z - mean).abs().mean(dim=-1, keepdim=True)",
            "z.var(dim=-1, keepdim=True, correction=0) => ((z - mean) ** 2).sum(dim=-1, keepdim=True)",
            "/ torch.sqrt(variance + eps) => / torch.sqrt(variance + eps).detach().round()",
            "gamma * (z - mean) / torch.sqrt(variance + eps) + beta => F.normalize(z, dim=-1)",
            "gamma * (z - mean) / torch.sqrt(variance + eps) + beta => (z - mean) / torch.sqrt(variance + eps)",
            "eps) + beta => 1e-5) + beta",
            "mean) / torch.sqrt(variance + eps) + beta => mean) / (torch.sqrt(variance + eps) + beta)",
        ),
    ),
    "mlp": Slips(
        """
        class MyMLP(nn.Module):
            def __init__(self, dim, hidden_dim):
                super().__init__()
                self.fc1 = nn.Linear(dim, hidden_dim)
                self.fc2 = nn.Linear(hidden_dim, dim)

            def forward(self, x):
                return self.fc2(F.gelu(self.fc1(x)))
        """,
        (
            "F.gelu => F.relu",
            "F.gelu => F.sigmoid",
            "F.gelu => F.elu",
            "F.gelu => F.leaky_relu",
            "F.gelu => F.softmax",
            "self.fc2(F.gelu(self.fc1(x))) => self.fc2(self.fc1(x))",
            "self.fc2(F.gelu(self.fc1(x))) => F.gelu(self.fc2(self.fc1(x)))",
            "self.fc2(F.gelu(self.fc1(x))) => self.fc2(F.gelu(self.fc1(x))) + x",
            "self.fc2(F.gelu(self.fc1(x))) => self.fc1(F.gelu(self.fc2(x)))",
            "self.fc2(F.gelu(self.fc1(x))) => F.gelu(self.fc1(x))",
            "nn.Linear(hidden_dim, dim) => nn.Linear(dim, hidden_dim)",
            "nn.Linear(dim, hidden_dim) => nn.Linear(hidden_dim, dim)",
            "nn.Linear(dim, hidden_dim) => nn.Linear(dim, 4 * dim) ;; nn.Linear(hidden_dim, dim) => nn.Linear(4 * dim, dim)",
            "super().__init__() => ",
            "nn.Linear(hidden_dim, dim) => nn.Linear(hidden_dim, dim, bias=False)",
            "self.fc2(F.gelu(self.fc1(x))) => self.fc2(F.dropout(F.gelu(self.fc1(x)), 0.1))",
            "self.fc2(F.gelu(self.fc1(x))) => self.fc2(F.gelu(self.fc1(x))).relu()",
            "F.gelu(self => nn.GELU(self",
            "nn.Linear(hidden_dim, dim) => nn.Linear(hidden_dim, dim); self.norm = nn.LayerNorm(dim) ;; self.fc1(x) => self.fc1(self.norm(x))",
            "self.fc1(x) => self.fc1(x.mean(1, keepdim=True))",
            "self.fc1(x) => self.fc1(x.transpose(1, 2))",
            "return self => self",
            "F.gelu(self.fc1(x)) => F.gelu(F.gelu(self.fc1(x)))",
            "F.gelu(self.fc1(x)) => self.fc1(x) * F.gelu(self.fc1(x))",
        ),
    ),
    "encoder_block": Slips(
        """
        class MyBlock(nn.Module):
            def __init__(self, dim, num_heads):
                super().__init__()
                self.norm1 = nn.LayerNorm(dim, eps=1e-6)
                self.attn = MultiHeadAttention(dim, num_heads)
                self.norm2 = nn.LayerNorm(dim, eps=1e-6)
                self.mlp = MLP(dim, 4 * dim)

            def forward(self, x):
                x = x + self.attn(self.norm1(x))
                x = x + self.mlp(self.norm2(x))
                return x
        """,
        (
            "x = x + self.attn(self.norm1(x)) => x = self.attn(self.norm1(x))",
            "x = x + self.mlp(self.norm2(x)) => x = self.mlp(self.norm2(x))",
            "x + self.attn(self.norm1(x)) => self.norm1(x + self.attn(x)) ;; x + self.mlp(self.norm2(x)) => self.norm2(x + self.mlp(x))",
            "self.attn(self.norm1(x)) => self.attn(x)",
            "self.mlp(self.norm2(x)) => self.mlp(x)",
            "self.mlp(self.norm2(x)) => self.mlp(self.norm1(x))",
            "self.mlp(self.norm2(x)) => self.norm2(self.mlp(x))",
            "self.attn(self.norm1(x)) => self.norm1(self.attn(x))",
            ", eps=1e-6 => ",
            "4 * dim => dim",
            "4 * dim => 2 * dim",
            "4 * dim => 4",
            "x = x + self.mlp(self.norm2(x)) => pass",
            "x = x + self.attn(self.norm1(x)) => pass",
            "x = x + self.attn(self.norm1(x)) => y = x + self.attn(self.norm1(x)) ;; return x => return x + y",
            "x = x + self.attn(self.norm1(x)) => y = self.attn(self.norm1(x)) ;; return x => return x + y",
            "x + self.attn(self.norm1(x)) => x * self.attn(self.norm1(x))",
            "x + self.attn(self.norm1(x)) => x - self.attn(self.norm1(x))",
            "return x => return self.norm1(x)",
            "self.norm2 = nn.LayerNorm(dim, eps=1e-6) => self.norm2 = self.norm1",
            "self.attn = MultiHeadAttention(dim, num_heads) => self.attn = MultiHeadAttention(dim, 1)",
            "self.attn = => self.attention =  ;; self.attn( => self.attention(",
            "super().__init__() => ",
            "x + self.attn(self.norm1(x)) => x + F.dropout(self.attn(self.norm1(x)), 0.1)",
            "self.mlp = MLP(dim, 4 * dim) => self.mlp = nn.Linear(dim, dim)",
            "self.attn(self.norm1(x)) => self.attn(self.norm1(x))[0]",
            "self.attn = MultiHeadAttention(dim, num_heads) => self.attn = MultiHeadAttention",
            "x + self.mlp(self.norm2(x)) => x + 2 * self.mlp(self.norm2(x))",
            "x + self.mlp(self.norm2(x)) => x + x + self.mlp(self.norm2(x))",
            "x = x + self.attn(self.norm1(x)) => x = x + self.mlp(self.norm1(x)) ;; x = x + self.mlp(self.norm2(x)) => x = x + self.attn(self.norm2(x))",
            "return x => return x.mean(1)",
            "nn.LayerNorm(dim => nn.BatchNorm1d(dim",
        ),
    ),
    "mended_block": Slips(
        """
        class MendedBlock(nn.Module):
            def __init__(self, dim, num_heads):
                super().__init__()
                self.norm1 = nn.LayerNorm(dim, eps=1e-6)
                self.attn = MultiHeadAttention(dim, num_heads)
                self.norm2 = nn.LayerNorm(dim, eps=1e-6)
                self.mlp = MLP(dim, 4 * dim)

            def forward(self, x):
                x = x + F.dropout(self.attn(self.norm1(x)), 0.2, training=self.training)
                return x + F.dropout(self.mlp(self.norm2(x)), 0.2, training=self.training)
        """,
        (
            ", training=self.training => ",
            "training=self.training => training=False",
            "training=self.training => training=True",
            "training=self.training => training=not self.training",
            "self.attn(self.norm1(x)), 0.2, training=self.training => self.attn(self.norm1(x)), 0.2",
            "self.mlp(self.norm2(x)), 0.2, training=self.training => self.mlp(self.norm2(x)), 0.2",
            "0.2 => 0.1",
            "0.2 => 0.8",
            "x + F.dropout(self.attn(self.norm1(x)), 0.2, training=self.training) => F.dropout(x + self.attn(self.norm1(x)), 0.2, training=self.training)",
            "self.norm1(x)), 0.2, training=self.training) => self.norm1(x)))",
            "self.norm2(x)), 0.2, training=self.training) => self.norm2(x)))",
            "training=self.training => self.training()",
            "training=self.training => training=training",
            "training=self.training => self.eval",
            "F.dropout => nn.Dropout",
            "return x + => return",
            "F.dropout(self.mlp(self.norm2(x)), 0.2, training=self.training) => 0.8 * self.mlp(self.norm2(x))",
            "x = x + F.dropout(self.attn(self.norm1(x)), 0.2, training=self.training) => x = x + F.dropout(self.attn(x), 0.2, training=self.training)",
        ),
    ),
    "vit_parameters": Slips(
        """
        def my_vit_parameters(dim, depth, patch_size, image_size, num_classes):
            N = (image_size // patch_size) ** 2
            front = (3 * patch_size ** 2 * dim + dim) + dim + (N + 1) * dim
            blocks = depth * (12 * dim * dim + 13 * dim)
            return front, blocks, 2 * dim + (dim * num_classes + num_classes)
        """,
        (
            "(N + 1) * dim => N * dim",
            "+ dim) + dim + (N + 1) => ) + dim + (N + 1)",
            "+ dim) + dim + (N + 1) * dim => ) + (N + 1) * dim",
            "3 * patch_size ** 2 => patch_size ** 2",
            "+ dim) + dim + (N + 1) * dim => + dim) + dim",
            "depth * (12 => (12",
            "12 * dim * dim + 13 * dim => 12 * dim * dim",
            "12 * dim * dim + 13 * dim => 12 * dim * dim + 9 * dim",
            "12 * dim * dim + 13 * dim => 12 * dim * dim + 10 * dim",
            "12 * dim * dim + 13 * dim => 8 * dim * dim + 13 * dim",
            "2 * dim + (dim => (dim",
            "num_classes + num_classes) => num_classes)",
            "2 * dim + (dim * num_classes + num_classes) => dim * num_classes",
            "2 * dim + => dim +",
            "front, blocks, 2 * dim + (dim * num_classes + num_classes) => front + blocks + 2 * dim + (dim * num_classes + num_classes)",
            "** 2\n => * 2\n",
            "(N + 1) * dim => (N + 1)",
            "+ (N + 1) * dim => + (N + 1) * dim + (N + 1)",
            "(N + 1) * dim => N * dim ;; 2 * dim + (dim => (dim",
            "+ dim) + dim + (N + 1) * dim => ) + N * dim",
            "front, blocks, 2 => blocks, front, 2",
            "12 * dim * dim + 13 * dim => 4 * dim * dim + 4 * dim + 8 * dim * dim + 5 * dim + 2 * dim",
        ),
    ),
    "vit_forward": Slips(
        """
        def my_forward(model, images):
            x = model.patch_embed(images)
            x = model.class_token(x)
            x = model.position(x)
            for block in model.blocks:
                x = block(x)
            x = model.norm(x)
            return model.head(x[:, 0])
        """,
        (
            "x = model.norm(x) => pass",
            "x = model.position(x) => pass",
            "x = model.class_token(x) => pass",
            "x[:, 0] => x",
            "x[:, 0] => x[0]",
            "x[:, 0] => x[:, -1]",
            "x[:, 0] => x.mean(dim=1)",
            "x[:, 0] => x[:, 1]",
            "x = block(x) => x = x + block(x)",
            "x = block(x) => block(x)",
            "x = block(x) => x = model.norm(block(x))",
            "return model.head(x[:, 0]) => return x[:, 0]",
            "return model.head(x[:, 0]) => return model.head(x[:, 0]).softmax(-1)",
            "return model.head(x[:, 0]) => return model(images)",
            "return model.head(x[:, 0]) => return type(model).forward(model, images)",
            "return model.head(x[:, 0]) => return model.head(x)[:, 1]",
            "return model.head(x[:, 0]) => return model.head(x[:, 0]).argmax(-1)",
            "for block in model.blocks:\n                x = block(x) => x = model.blocks[0](x)",
            "x = model.class_token(x)\n            x = model.position(x) => x = model.position(x)\n            x = model.class_token(x)",
            "x = model.position(x) => x = x + model.position",
            "x = model.position(x) => x = model.position(model.position(x))",
            "x = model.class_token(x) => x = torch.cat([model.class_token, x], dim=1)",
            "model.patch_embed(images) => model.patch_embed(images.flatten(1))",
            "x = block(x) => x = block(model.norm(x))",
            "for block in model.blocks => for block in reversed(model.blocks)",
            "return model.head(x[:, 0]) => return model.head(model.norm(x[:, 0]))",
            "return model.head(x[:, 0]) => return model.head(x[:, 0]).mean(-1)",
            "return model.head(x[:, 0]) => model.head(x[:, 0])",
            "model.head(x[:, 0]) => model.head(x[:, 0]) + x[:, 0].mean()",
            "x = block(x) => x = block(block(x))",
            "return model.head(x[:, 0]) => return ViT.forward(model, images)",
            "model.patch_embed(images) => model.patch_embeding(images)",
        ),
    ),
    "timm_names": Slips(
        """
        def my_timm_names(weights):
            renamed = {}
            for name, weight in weights.items():
                new = name.replace("encoder.layers.encoder_layer_", "blocks.")
                new = new.replace("self_attention.in_proj_", "attn.qkv.").replace("self_attention.out_proj", "attn.proj")
                new = new.replace("ln_1", "norm1").replace("ln_2", "norm2")
                new = new.replace("mlp.0", "mlp.fc1").replace("mlp.3", "mlp.fc2")
                new = new.replace("class_token", "cls_token").replace("encoder.pos_embedding", "pos_embed")
                new = new.replace("conv_proj", "patch_embed.proj").replace("encoder.ln", "norm").replace("heads.head", "head")
                renamed[new] = weight
            return renamed
        """,
        (
            "return renamed => return list(renamed)",
            "return renamed => return list(renamed.items())",
            "return renamed => return weights",
            "renamed[new] = weight => renamed[new] = name",
            "renamed[new] = weight => renamed[name] = weight",
            '"attn.qkv." => "attn.qkv_"',
            '"attn.qkv." => "attn.qkv.in_proj_"',
            '.replace("ln_2", "norm2") => ',
            '"norm1").replace("ln_2", "norm2") => "norm2").replace("ln_2", "norm1")',
            '"mlp.fc2" => "mlp.fc3"',
            '.replace("heads.head", "head") => .replace("heads.head", "classifier")',
            '"blocks." => "blocks"',
            '"blocks." => "block."',
            '.replace("encoder.ln", "norm") => ',
            '"encoder.pos_embedding", "pos_embed" => "pos_embedding", "pos_embed"',
            '"patch_embed.proj" => "patch_embed"',
            '"cls_token" => "class_token"',
            "renamed[new] = weight => renamed[new] = weight.T",
            "renamed[new] = weight => renamed[new] = torch.zeros_like(weight)",
            '"self_attention.out_proj", "attn.proj" => "self_attention.out_proj", "attn.out_proj"',
            "return renamed => return renamed.keys()",
            '"mlp.0", "mlp.fc1").replace("mlp.3", "mlp.fc2" => "mlp.0", "mlp.fc2").replace("mlp.3", "mlp.fc1"',
            'new = new.replace("class_token", "cls_token") => new = new.replace("class_token", "cls_tok")',
            "renamed[new] = weight => renamed = {new: weight}",
            'return renamed => return {k: v for k, v in renamed.items() if "blocks" in k}',
        ),
    ),
    "vit_from_parts": Slips(
        """
        class MyViT(nn.Module):
            def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
                super().__init__()
                self.patch_embed = PatchEmbedding(image_size, patch_size, in_channels, dim)
                N = (image_size // patch_size) ** 2
                self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
                self.pos_embed = nn.Parameter(torch.zeros(1, N + 1, dim))
                self.blocks = nn.Sequential(*[EncoderBlock(dim, num_heads) for _ in range(depth)])
                self.norm = nn.LayerNorm(dim, eps=1e-6)
                self.head = nn.Linear(dim, num_classes)

            def forward(self, images):
                x = self.patch_embed(images)
                x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
                x = x + self.pos_embed
                x = self.blocks(x)
                x = self.norm(x)
                return self.head(x[:, 0])
        """,
        (
            "x = self.norm(x) => pass",
            "x = x + self.pos_embed => pass",
            "N + 1 => N",
            "self.cls_token.expand(len(x), -1, -1) => self.cls_token",
            "dim=1 => dim=0",
            "[self.cls_token.expand(len(x), -1, -1), x] => [x, self.cls_token.expand(len(x), -1, -1)]",
            "x[:, 0] => x",
            "x[:, 0] => x.mean(1)",
            "x[:, 0] => x[:, -1]",
            "x[:, 0] => x[0]",
            ", eps=1e-6 => ",
            "nn.Sequential(*[EncoderBlock(dim, num_heads) for _ in range(depth)]) => nn.ModuleList([EncoderBlock(dim, num_heads) for _ in range(depth)])",
            "nn.Sequential(*[EncoderBlock(dim, num_heads) for _ in range(depth)]) => [EncoderBlock(dim, num_heads) for _ in range(depth)]",
            "nn.Sequential(*[EncoderBlock(dim, num_heads) for _ in range(depth)]) => nn.Sequential(*[EncoderBlock(dim, num_heads)] * depth)",
            "nn.Parameter(torch.zeros(1, 1, dim)) => torch.zeros(1, 1, dim)",
            "self.head = => self.classifier =  ;; return self.head => return self.classifier",
            "torch.zeros(1, 1, dim) => torch.zeros(dim)",
            "x = self.blocks(x) => x = x + self.blocks(x)",
            "x = self.norm(x) => self.norm(x)",
            "return self.head(x[:, 0]) => return self.head(x[:, 0]).softmax(-1)",
            "return self.head(x[:, 0]) => return x[:, 0]",
            "super().__init__() => ",
            "EncoderBlock(dim, num_heads) => EncoderBlock(dim, 1)",
            "nn.Linear(dim, num_classes) => nn.Linear(num_classes, dim)",
            "nn.Linear(dim, num_classes) => nn.Linear(dim, 10)",
            "x = x + self.pos_embed => x = x * self.pos_embed",
            "range(depth) => range(depth - 1)",
            "x = self.patch_embed(images) => x = self.patch_embed(images.flip(-1))",
            "PatchEmbedding(image_size, patch_size, in_channels, dim) => PatchEmbedding(image_size, patch_size, 3, dim)",
            "return self.head(x[:, 0]) => return self.head(F.dropout(x[:, 0], 0.1))",
            "x = x + self.pos_embed => x[:, 1:] = x[:, 1:] + self.pos_embed[:, 1:]",
            "x = self.blocks(x) => x = self.blocks(self.norm(x))",
        ),
    ),
    "clinic": Slips(
        """
        def my_diagnoses(patients):
            words = ["norm", "well", "class token", "dropout", "positions", "shared", "head"]
            return dict(zip(patients, words))
        """,
        (
            '"norm", "well" => "well", "norm"',
            '"class token", "dropout" => "dropout", "class token"',
            '"positions", "shared" => "shared", "positions"',
            '"head"] => "class token"]',
            '"class token" => "cls token"',
            "dict(zip(patients, words)) => words",
            "dict(zip(patients, words)) => dict(zip(words, patients))",
            "words)) => words[:5]))",
            '"head"] => "well"]',
            '"dropout" => "Dropout"',
            "dict(zip(patients, words)) => set(words)",
            "dict(zip(patients, words)) => words[0]",
            '"norm" => ...',
            "return dict => dict",
            '"well", "class => "healthy", "class',
        ),
    ),
    "learning_rate": Slips(
        """
        def my_learning_rate(step, steps, warmup, peak):
            if step < warmup:
                return peak * (step + 1) / warmup
            t = (step - warmup) / (steps - warmup)
            return peak * (1 + math.cos(math.pi * t)) / 2
        """,
        (
            "(step + 1) / warmup => step / warmup",
            "return peak * (step + 1) / warmup => return (step + 1) / warmup",
            "return peak * (1 + => return (1 +",
            "/ 2 => ",
            "math.pi * t => 2 * math.pi * t",
            "math.pi * t => math.pi * t / 2",
            "math.cos => math.sin",
            "(steps - warmup) => steps",
            "(step - warmup) / (steps - warmup) => step / steps",
            "step < warmup => step <= warmup",
            "step < warmup => step > warmup",
            "(1 + math.cos => (1 - math.cos",
            "peak * (1 + math.cos(math.pi * t)) / 2 => peak * math.cos(math.pi * t)",
            "peak * (1 + math.cos(math.pi * t)) / 2 => peak * (1 - t)",
            "return peak * (step + 1) / warmup => return peak",
            "math.pi * t => t",
            "math.pi * t => math.degrees(math.pi * t)",
            "math.pi * t => 180 * t",
            "(steps - warmup) => (steps - warmup - 1)",
            "return peak * (1 + math.cos(math.pi * t)) / 2 => return peak",
            "return peak * (1 + math.cos(math.pi * t)) / 2 => return peak * 0.5 ** t",
            "(step + 1) / warmup => (step + 1) / (warmup + 1)",
            "(step - warmup) => (step - warmup + 1)",
        ),
    ),
    "cutmix_share": Slips(
        """
        def my_share(box, size):
            (top, left, bottom, right), (height, width) = box, size
            tall = min(bottom, height) - max(top, 0)
            wide = min(right, width) - max(left, 0)
            return 1 - tall * wide / (height * width)
        """,
        (
            "return 1 - tall => return tall",
            "min(bottom, height) - max(top, 0) => bottom - top ;; min(right, width) - max(left, 0) => right - left",
            "max(top, 0) => top ;; max(left, 0) => left",
            "min(bottom, height) => bottom ;; min(right, width) => right",
            "min(bottom, height) => max(bottom, height)",
            "max(top, 0) => min(top, 0)",
            "(top, left, bottom, right) => (left, top, right, bottom)",
            "(top, left, bottom, right) => (top, bottom, left, right)",
            "(height, width) = box => (width, height) = box",
            "max(top, 0) => max(top, 0) + 1 ;; max(left, 0) => max(left, 0) + 1",
            "tall * wide / (height * width) => (tall + wide) / (height + width)",
            "1 - tall * wide / (height * width) => 1 - tall * wide",
            "1 - tall * wide / (height * width) => height * width - tall * wide",
            "1 - tall * wide / (height * width) => 1 - tall / height * wide",
            "1 - tall * wide / (height * width) => tall * wide",
            "1 - tall * wide / (height * width) => 1 - tall * wide / height * width",
            "1 - tall * wide / (height * width) => round(1 - tall * wide / (height * width), 2)",
            "1 - tall * wide / (height * width) => 1 - tall * wide // (height * width)",
            "1 - tall * wide / (height * width) => 100 * (1 - tall * wide / (height * width))",
            "1 - tall * wide / (height * width) => tall * wide / (height * width) - 1",
            "min(right, width) => min(right, height)",
            "1 - tall * wide / (height * width) => 1 - bottom * right / (height * width)",
        ),
    ),
    "moving_average": Slips(
        """
        def my_average(kept, new, decay, step):
            d = min(decay, (1 + step) / (10 + step))
            return d * kept + (1 - d) * new
        """,
        (
            "min(decay => max(decay",
            "min(decay, (1 + step) / (10 + step)) => decay",
            "d * kept + (1 - d) * new => d * new + (1 - d) * kept",
            "(1 - d) * new => new",
            "min(decay, (1 + step) / (10 + step)) => (1 + step) / (10 + step)",
            "(1 + step) / (10 + step) => step / (10 + step)",
            "(1 + step) / (10 + step) => (1 + step) / 10 + step",
            "d * kept + (1 - d) * new => (kept + new) / 2",
            "d * kept + (1 - d) * new => d * kept + (1 + d) * new",
            "d * kept + (1 - d) * new => kept + d * new",
            "d * kept + (1 - d) * new => kept + d * (new - kept)",
            "d * kept + (1 - d) * new => d * kept + (1 - decay) * new",
            "d * kept + (1 - d) * new => decay * kept + (1 - d) * new",
            "d * kept + (1 - d) * new => d * kept - (1 - d) * new",
            "d * kept + (1 - d) * new => kept.mul_(d).add_((1 - d) * new)",
            "(1 + step) / (10 + step) => (2 + step) / (11 + step)",
            "d * kept + (1 - d) * new => kept",
            "d * kept + (1 - d) * new => new",
            "min(decay, (1 + step) / (10 + step)) => decay * (1 + step) / (10 + step)",
            "d * kept + (1 - d) * new => (d * kept + (1 - d) * new).mean()",
        ),
    ),
    "training_clinic": Slips(
        """
        def my_findings(patients):
            words = ["schedule", "zero_grad", "well", "leak", "eval", "frozen"]
            return dict(zip(patients, words))
        """,
        (
            '"schedule", "zero_grad" => "zero_grad", "schedule"',
            '"well", "leak" => "leak", "well"',
            '"eval", "frozen" => "frozen", "eval"',
            '"frozen"] => "well"]',
            '"leak" => "leakage"',
            "dict(zip(patients, words)) => words",
            "dict(zip(patients, words)) => dict(zip(words, patients))",
            "words)) => words[:4]))",
            '"eval" => "dropout"',
            '"zero_grad" => "zero grad"',
            "dict(zip(patients, words)) => tuple(words)",
            "dict(zip(patients, words)) => words[0]",
            "return dict => dict",
            '"well" => ""',
            '"well" => "healthy"',
        ),
    ),
}
