"""Lesson 8."""

# ruff: noqa: E501  a line for each slip

from exercises.corpus import Slips

SLIPS = {
    "lens": Slips(
        """
        def my_lens(tokens, norm, head):
            normed = norm(tokens)
            return head(normed)
        """,
        (
            "head(normed) => normed",
            "norm(tokens) => tokens",
            "norm(tokens) => norm(tokens)[:, 0]",
            "norm(tokens) => norm(tokens)[:, 1:]",
            "norm(tokens) => norm(tokens).mean(dim=1)",
            "norm(tokens) => norm(tokens.mean(dim=1))",
            "head(normed) => head(normed).softmax(dim=-1)",
            "head(normed) => head(normed).argmax(dim=-1)",
            "head(normed) => head(normed).transpose(1, 2)",
            "head(normed) => head(normed)[0]",
            "head(normed) => head(normed + tokens)",
            "head(normed) => head(norm(normed))",
            "head(normed) => head(normed.flatten(1))",
            "head(normed) => normed @ head.weight.T",
            "head(normed) => normed @ head.weight + head.bias",
            "head(normed) => head.weight @ normed.mT",
            "norm(tokens) => (tokens - tokens.mean(-1, keepdim=True)) / tokens.std(-1, keepdim=True)",
            "norm(tokens) => F.normalize(tokens, dim=-1)",
            "norm(tokens) => F.layer_norm(tokens, tokens.shape)",
            "norm(tokens) => norm(tokens).relu()",
            "normed = norm(tokens) => normed = head(tokens) ;; return head(normed) => return norm(normed)",
            "head(normed) => head(normed).log_softmax(dim=1)",
            "head(normed) => head(normed).sum(dim=1)",
            "head(normed) => [head(token) for token in normed[0]]",
        ),
    ),
    "rollout": Slips(
        """
        def my_rollout(maps):
            N = maps[0].shape[-1]
            so_far = torch.eye(N).repeat(maps[0].shape[0], 1, 1)
            for weights in maps:
                A = weights.mean(dim=1)
                layer = (A + torch.eye(N)) / 2
                so_far = layer @ so_far
            return so_far
        """,
        (
            "layer @ so_far => so_far @ layer",
            "(A + torch.eye(N)) / 2 => A",
            "(A + torch.eye(N)) / 2 => A + torch.eye(N)",
            "(A + torch.eye(N)) / 2 => A / 2 + torch.eye(N)",
            "(A + torch.eye(N)) / 2 => (A + 1) / 2",
            "weights.mean(dim=1) => weights.mean(dim=0)",
            "weights.mean(dim=1) => weights.sum(dim=1)",
            "weights.mean(dim=1) => weights.amax(dim=1)",
            "weights.mean(dim=1) => weights[:, 0]",
            "weights.mean(dim=1) => weights",
            "layer @ so_far => layer * so_far",
            "layer @ so_far => layer + so_far",
            "layer @ so_far => layer",
            "in maps => in maps[::-1]",
            "in maps => in maps[1:]",
            "in maps => in maps[:-1]",
            "return so_far => return so_far[:, 0]",
            "return so_far => return so_far[0]",
            "return so_far => return so_far.mT",
            "return so_far => return so_far[:, 1:, 1:]",
            "torch.eye(N).repeat(maps[0].shape[0], 1, 1) => torch.zeros(maps[0].shape[0], N, N)",
            "torch.eye(N).repeat(maps[0].shape[0], 1, 1) => torch.ones(maps[0].shape[0], N, N)",
            "A + torch.eye(N) => A + so_far",
            "return so_far => return so_far / so_far.sum(dim=1, keepdim=True)",
            "layer @ so_far => layer.mT @ so_far",
            "(A + torch.eye(N)) / 2 => A * torch.eye(N)",
            "(A + torch.eye(N)) / 2 => 0.9 * A + 0.1 * torch.eye(N)",
            "so_far = layer @ so_far => pass",
            "return so_far => return so_far / len(maps)",
            "layer @ so_far => torch.matmul(so_far, layer).softmax(dim=-1)",
            "repeat(maps[0].shape[0], 1, 1) => repeat(maps[0].shape[1], 1, 1)",
            """
            def my_rollout(maps):
                A = torch.stack(maps).mean(dim=2)
                return ((A + torch.eye(A.shape[-1])) / 2).mean(dim=0)
            """,
        ),
    ),
    "exchange": Slips(
        """
        def my_exchange(model, images, others, k, tokens):
            x = model.position(model.class_token(model.patch_embed(images)))
            y = model.position(model.class_token(model.patch_embed(others)))
            x, y = model.blocks[:k](x), model.blocks[:k](y)
            x = x.clone()
            x[:, tokens] = y[:, tokens]
            x = model.norm(model.blocks[k:](x))
            return model.head(x[:, 0])
        """,
        (
            "x[:, tokens] = y[:, tokens] => y[:, tokens] = x[:, tokens]",
            "x[:, tokens] = y[:, tokens] => x[tokens] = y[tokens]",
            "x[:, tokens] = y[:, tokens] => x[:, tokens] = 0",
            "x[:, tokens] = y[:, tokens] => x[:, tokens] += y[:, tokens]",
            "x[:, tokens] = y[:, tokens] => x[:, :, tokens] = y[:, :, tokens]",
            "x[:, tokens] = y[:, tokens] => x[:, [t + 1 for t in tokens]] = y[:, [t + 1 for t in tokens]]",
            "x[:, tokens] = y[:, tokens] => x = y",
            "x[:, tokens] = y[:, tokens] => pass",
            "model.norm(model.blocks[k:](x)) => model.blocks[k:](x)",
            "model.norm(model.blocks[k:](x)) => model.norm(model.blocks(x))",
            "model.norm(model.blocks[k:](x)) => model.norm(x)",
            "model.blocks[k:](x) => model.blocks[k + 1:](x)",
            "x, y = model.blocks[:k](x), model.blocks[:k](y) => x, y = model.blocks[:k](x), y",
            "x, y = model.blocks[:k](x), model.blocks[:k](y) => x, y = model.blocks(x), model.blocks(y)",
            "model.blocks[:k] => model.blocks[:k + 1]",
            "model.blocks[:k] => model.blocks[k]",
            "model.head(x[:, 0]) => model.head(x)",
            "model.head(x[:, 0]) => model.head(x[0])",
            "model.head(x[:, 0]) => model.head(x.mean(dim=1))",
            "model.head(x[:, 0]) => model.head(x[:, -1])",
            "model.head(x[:, 0]) => x[:, 0]",
            "model.head(x[:, 0]) => model.head(x[:, 0]).softmax(dim=-1)",
            "model.position(model.class_token(model.patch_embed(images))) => model.class_token(model.patch_embed(images))",
            "model.position(model.class_token(model.patch_embed(others))) => model.class_token(model.patch_embed(others))",
            "model.position(model.class_token( => model.class_token(model.position(",
            "model.patch_embed(others) => model.patch_embed(images)",
            "model.patch_embed(images) => model.patch_embed(others)",
            "x[:, tokens] = y[:, tokens] => x[:, tokens] = y[:, tokens].mean(dim=1, keepdim=True)",
            "x[:, tokens] = y[:, tokens] => x[:, tokens] = (x[:, tokens] + y[:, tokens]) / 2",
            "x[:, tokens] = y[:, tokens] => x[:, 1:] = y[:, 1:]",
            "x[:, tokens] = y[:, tokens] => x[:, tokens] = y[0, tokens]",
            "x, y = model.blocks[:k](x), model.blocks[:k](y) => x, y = model.blocks[:k](x), model.blocks[:k](x)",
            "x, y = model.blocks[:k](x), model.blocks[:k](y) => y = model.blocks[:k](y)",
            "x = model.norm(model.blocks[k:](x)) => for block in model.blocks[k:]: x = model.norm(block(x))",
        ),
    ),
    "near_heads": Slips(
        """
        def my_near_heads(trained, untrained):
            limit = untrained.min()
            nearer = trained < limit
            return [(block, head) for block, head in nearer.nonzero().tolist()]
        """,
        (
            "untrained.min() => untrained.max()",
            "untrained.min() => untrained.mean()",
            "untrained.min() => untrained.mean(dim=0)",
            "untrained.min() => untrained.amin(dim=0)",
            "untrained.min() => untrained.amin(dim=(0, 1))",
            "untrained.min() => untrained.amin(dim=(0, 2))[:, None]",
            "untrained.min() => untrained.median()",
            "untrained.min() => untrained[0].min()",
            "untrained.min() => untrained.min(dim=0)",
            "untrained.min() => trained.min()",
            "trained < limit => trained <= limit",
            "trained < limit => trained > limit",
            "trained < limit => limit - trained",
            "[(block, head) => [(head, block)",
            "[(block, head) => [(block + 1, head + 1)",
            "[(block, head) => [block",
            "[(block, head) => [head",
            "[(block, head) => [(block, head, trained[block, head].item())",
            "[(block, head) for block, head in nearer.nonzero().tolist()] => nearer",
            "[(block, head) for block, head in nearer.nonzero().tolist()] => trained[nearer].tolist()",
            "[(block, head) for block, head in nearer.nonzero().tolist()] => nearer.flatten().nonzero().flatten().tolist()",
            "[(block, head) for block, head in nearer.nonzero().tolist()] => int(nearer.sum())",
            "[(block, head) for block, head in nearer.nonzero().tolist()] => [divmod(int(trained.argmin()), trained.shape[1])]",
            "trained < limit => trained < limit - 1",
            "trained < limit => (trained < untrained).any(dim=0)",
            "untrained.min() => untrained.mean() - 2 * untrained.std()",
            "nearer.nonzero().tolist()] => nearer.nonzero().tolist()] or None",
            "nearer.nonzero().tolist()] => nearer.T.nonzero().tolist()]",
        ),
    ),
    "shuffled_control": Slips(
        """
        def my_control(ranking, seed):
            generator = torch.Generator().manual_seed(seed)
            order = torch.rand(ranking.shape, generator=generator).argsort(dim=1)
            return ranking.gather(1, order)
        """,
        (
            "manual_seed(seed) => manual_seed(0)",
            "torch.Generator().manual_seed(seed) => torch.Generator()",
            "torch.Generator().manual_seed(seed) => torch.manual_seed(seed)",
            ", generator=generator => ",
            "argsort(dim=1) => argsort(dim=0)",
            "ranking.gather(1, order) => order",
            "ranking.gather(1, order) => ranking[order]",
            "ranking.gather(1, order) => ranking[:, order]",
            "ranking.gather(1, order) => ranking.gather(0, order)",
            "ranking.gather(1, order) => ranking",
            "ranking.gather(1, order) => ranking.gather(1, order).mT",
            "ranking.gather(1, order) => order.float()",
            "ranking.gather(1, order) => ranking * order",
            "ranking.gather(1, order) => ranking.sort(dim=1).values",
            "ranking.gather(1, order) => ranking.flip(1)",
            "torch.rand(ranking.shape, generator=generator) => torch.rand(ranking.shape[1], generator=generator).expand(ranking.shape)",
            "ranking.gather(1, order) => torch.rand(ranking.shape, generator=generator)",
            "ranking.gather(1, order) => torch.zeros_like(ranking).scatter(1, order, 1.0)",
            "ranking.gather(1, order) => ranking.gather(1, order) / ranking.sum(dim=1, keepdim=True)",
            "ranking.gather(1, order) => ranking.gather(1, order[:, :-1])",
            "ranking.gather(1, order) => ranking.gather(1, order).tolist()[0]",
            """
            def my_control(ranking, seed):
                generator = torch.Generator().manual_seed(seed)
                order = torch.randperm(ranking.shape[1], generator=generator)
                return ranking[:, order]
            """,
            """
            def my_control(ranking, seed):
                torch.manual_seed(seed)
                return ranking[:, torch.randperm(ranking.shape[1])]
            """,
            """
            def my_control(ranking, seed):
                rows = []
                for row in ranking:
                    generator = torch.Generator().manual_seed(seed)
                    rows.append(row[torch.randperm(len(row), generator=generator)])
                return torch.stack(rows)
            """,
            """
            def my_control(ranking, seed):
                generator = torch.Generator().manual_seed(seed)
                return ranking.flatten()[torch.randperm(ranking.numel(), generator=generator)].view_as(ranking)
            """,
            """
            def my_control(ranking, seed):
                generator = torch.Generator().manual_seed(seed)
                return ranking[torch.randperm(len(ranking), generator=generator)]
            """,
            """
            def my_control(ranking, seed):
                generator = torch.Generator().manual_seed(seed)
                places = torch.randint(ranking.shape[1], ranking.shape, generator=generator)
                return ranking.gather(1, places)
            """,
            """
            def my_control(ranking, seed):
                generator = torch.Generator().manual_seed(seed)
                return ranking + torch.randn(ranking.shape, generator=generator)
            """,
            """
            def my_control(ranking, seed):
                return ranking.roll(seed, dims=1)
            """,
            """
            def my_control(ranking, seed):
                return torch.full_like(ranking, ranking.mean())
            """,
            """
            def my_control(ranking, seed):
                import random
                random.seed(seed)
                rows = ranking.tolist()
                for row in rows:
                    random.shuffle(row)
                return torch.tensor(rows)
            """,
        ),
    ),
    "map_clinic": Slips(
        """
        def my_map_diagnoses(patients):
            words = ["column", "residual", "well", "hook", "pictures", "order"]
            return dict(zip(patients, words))
        """,
        (
            '"column", "residual" => "residual", "column"',
            '"well", "hook" => "hook", "well"',
            '"pictures", "order" => "order", "pictures"',
            '"order"] => "well"]',
            '"order"] => "residual"]',
            '"column" => "well"',
            '"column" => "row"',
            '"hook" => "hooks"',
            '"pictures" => "heads"',
            '"residual" => "Residual"',
            "dict(zip(patients, words)) => words",
            "dict(zip(patients, words)) => dict(zip(words, patients))",
            "dict(zip(patients, words)) => list(zip(patients, words))",
            "dict(zip(patients, words)) => dict(enumerate(words))",
            "words)) => words[:5]))",
            '"well" => "none"',
            '"well" => None',
            '"column", => ',
            "return dict => dict",
            "dict(zip(patients, words)) => {patients: words}",
            "patients, words)) => patients.lower(), words))",
        ),
    ),
    "mended_map": Slips(
        """
        def my_where_it_looked(model, images):
            maps, hooks = [], []
            for block in model.blocks:
                block.attn.fused_attn = False
                hooks.append(block.attn.attn_drop.register_forward_hook(lambda layer, given, weights: maps.append(weights)))
            with torch.no_grad():
                model(images)
            for hook in hooks:
                hook.remove()
            for block in model.blocks:
                block.attn.fused_attn = True
            identity = torch.eye(1 + math.prod(model.grid_size))
            rollout = identity.expand(images.shape[0], -1, -1)
            for weights in maps:
                layer = (weights.mean(dim=1) + identity) / 2
                rollout = layer @ rollout
            return rollout[:, 0, 1:]
        """,
        (
            "block.attn.fused_attn = False => pass",
            "block.attn.fused_attn = True => pass",
            "hook.remove() => pass",
            "mean(dim=1) => mean(dim=0)",
            "mean(dim=1) => sum(dim=1)",
            "mean(dim=1) => amax(dim=1)",
            "(weights.mean(dim=1) + identity) / 2 => weights.mean(dim=1)",
            "(weights.mean(dim=1) + identity) / 2 => weights.mean(dim=1) + identity",
            "layer @ rollout => rollout @ layer",
            "layer @ rollout => layer",
            "rollout[:, 0, 1:] => rollout[:, 1:, 0]",
            "rollout[:, 0, 1:] => rollout[:, 0]",
            "rollout[:, 0, 1:] => rollout",
            "rollout[:, 0, 1:] => rollout[0, 0, 1:]",
            "rollout[:, 0, 1:] => rollout[:, 0, :-1]",
            "rollout[:, 0, 1:] => rollout[:, 1:, 1:]",
            "rollout[:, 0, 1:] => rollout[:, 0, 1:].view(-1, *model.grid_size)",
            "rollout[:, 0, 1:] => rollout[:, 1:].mean(dim=1)",
            "rollout[:, 0, 1:] => rollout[:, 0, 1:] / rollout[:, 0, 1:].sum(dim=1, keepdim=True)",
            "1 + math.prod(model.grid_size) => math.prod(model.grid_size)",
            "maps.append(weights) => maps.append(given)",
            "attn_drop.register => proj.register",
            "block.attn.fused_attn = False => model.fused_attn = False",
            "(weights.mean(dim=1) + identity) / 2 => weights.mean(dim=1) ;; layer @ rollout => rollout @ layer",
            "mean(dim=1) => mean(dim=0) ;; rollout[:, 0, 1:] => rollout[:, 1:, 0]",
            "layer @ rollout => rollout @ layer ;; rollout[:, 0, 1:] => rollout[:, 1:, 0]",
            "fused_attn = False => fused_attn = True",
            "model(images) => model.blocks(images)",
            "for weights in maps => for weights in maps[:1]",
            "for weights in maps => for weights in reversed(maps)",
            """
            def my_where_it_looked(model, images):
                maps = []
                hooks = [
                    block.attn.attn_drop.register_forward_hook(lambda layer, given, weights: maps.append(weights))
                    for block in model.blocks
                ]
                with torch.no_grad():
                    model(images)
                for hook in hooks:
                    hook.remove()
                rollout = torch.eye(1 + math.prod(model.grid_size)).expand(len(images), -1, -1)
                for weights in maps:
                    rollout = rollout @ weights.mean(dim=0)
                return rollout[:, 1:, 0]
            """,
        ),
    ),
}
