"""Lesson 9."""

# ruff: noqa: E501  a line for each slip

from exercises.corpus import Slips

SLIPS = {
    "seen_pixels": Slips(
        """
        def my_seen_pixels(layers):
            width, step = 1, 1
            for kernel, stride in layers:
                width = width + (kernel - 1) * step
                step = step * stride
            return width, step
        """,
        (
            "(kernel - 1) * step => (kernel - 1)",
            "(kernel - 1) * step => kernel * step",
            "(kernel - 1) * step => (kernel // 2) * step",
            "(kernel - 1) * step => (kernel - 1) * stride",
            "(kernel - 1) * step => (kernel - 1) * step * stride",
            "(kernel - 1) * step => kernel - 1 * step",
            "(kernel - 1) * step => (kernel + 1) * step",
            "(kernel - 1) * step => 2 * step",
            "(kernel - 1) * step => 2 * (kernel - 1) * step",
            "step * stride => step + stride",
            "step * stride => stride",
            "step * stride => step * kernel",
            "step = step * stride => step **= stride",
            "width, step = 1, 1 => width, step = 0, 1",
            "width, step = 1, 1 => width, step = 1, 0",
            "width, step = 1, 1 => width, step = 3, 1",
            "return width, step => return step, width",
            "return width, step => return width",
            "return width, step => return width * width, step",
            "return width, step => return width // 2, step",
            "return width, step => return width // step, step",
            "for kernel, stride in layers => for stride, kernel in layers",
            "for kernel, stride in layers => for kernel, stride in reversed(layers)",
            "for kernel, stride in layers => for kernel, stride in layers[1:]",
            "            return width, step =>                 return width, step",
            "width = width + (kernel - 1) * step => width = (kernel - 1) * step",
            "width = width + (kernel - 1) * step => width = width * kernel",
        ),
    ),
    "moved_rows": Slips(
        """
        def my_positions(pos_embed, order):
            new = pos_embed.clone()
            for i, patch in enumerate(order):
                new[:, 1 + patch] = pos_embed[:, 1 + i]
            return new
        """,
        (
            "new[:, 1 + patch] = pos_embed[:, 1 + i] => new[:, 1 + i] = pos_embed[:, 1 + patch]",
            "new[:, 1 + patch] = pos_embed[:, 1 + i] => new[:, patch] = pos_embed[:, i]",
            "new[:, 1 + patch] = pos_embed[:, 1 + i] => new[:, i] = pos_embed[:, patch]",
            "new[:, 1 + patch] = pos_embed[:, 1 + i] => new[:, patch] = pos_embed[:, 1 + i]",
            "new[:, 1 + patch] = pos_embed[:, 1 + i] => new[:, 1 + patch] = pos_embed[:, i]",
            "new[:, 1 + patch] = pos_embed[:, 1 + i] => new[:, 1 + patch] += pos_embed[:, 1 + i]",
            "new[:, 1 + patch] = pos_embed[:, 1 + i] => new[1 + patch] = pos_embed[1 + i]",
            "new[:, 1 + patch] = pos_embed[:, 1 + i] => new[:, 1 + patch] = new[:, 1 + i]",
            "new[:, 1 + patch] = pos_embed[:, 1 + i] => new[:, :, patch] = pos_embed[:, :, i]",
            "pos_embed.clone() => pos_embed",
            "pos_embed.clone() => torch.zeros_like(pos_embed)",
            "pos_embed.clone() => torch.empty_like(pos_embed[:, 1:])",
            "return new => return new[:, 1:]",
            "return new => return new[0]",
            "return new => return pos_embed",
            "return new =>",
            """
            def my_positions(pos_embed, order):
                return pos_embed[:, order]
            """,
            """
            def my_positions(pos_embed, order):
                return pos_embed[:, 1 + order]
            """,
            """
            def my_positions(pos_embed, order):
                return torch.cat([pos_embed[:, :1], pos_embed[:, 1 + order]], dim=1)
            """,
            """
            def my_positions(pos_embed, order):
                return torch.cat([pos_embed[:, :1], pos_embed[:, order.argsort()]], dim=1)
            """,
            """
            def my_positions(pos_embed, order):
                return torch.cat([pos_embed[:, 1 + order.argsort()], pos_embed[:, :1]], dim=1)
            """,
        ),
    ),
    "agreement": Slips(
        """
        def my_agreement(model, images, pixels):
            with torch.no_grad():
                before = model(images).argmax(dim=1)
                shares = []
                for rows, columns in [(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)]:
                    moved = images.roll((rows, columns), dims=(2, 3))
                    after = model(moved).argmax(dim=1)
                    shares.append((after == before).double().mean())
            return sum(shares) / 4
        """,
        (
            "(after == before) => (after != before)",
            ".double().mean()) => .sum())",
            "return sum(shares) / 4 => return sum(shares)",
            "return sum(shares) / 4 => return shares",
            "return sum(shares) / 4 => return shares[0]",
            "return sum(shares) / 4 => return max(shares)",
            "return sum(shares) / 4 => return min(shares)",
            "dims=(2, 3) => dims=(1, 2)",
            "dims=(2, 3) => dims=(0, 1)",
            ", dims=(2, 3)) => )",
            "[(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)] => [(pixels, 0), (-pixels, 0)]",
            "[(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)] => [(pixels, pixels), (-pixels, -pixels), (pixels, -pixels), (-pixels, pixels)]",
            "[(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)] => [(1, 0), (-1, 0), (0, 1), (0, -1)]",
            "[(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels)] => [(pixels, 0), (pixels, 0), (0, pixels), (0, pixels)]",
            "argmax(dim=1) => argmax(dim=0)",
            "argmax(dim=1) => argmax()",
            "argmax(dim=1) => softmax(dim=1)",
            ".argmax(dim=1) =>",
            "model(moved) => model(images)",
            "moved = images.roll => images = images.roll ;; model(moved) => model(images)",
            "argmax(dim=1) => amax(dim=1)",
            "before = model(images).argmax(dim=1) => before = torch.arange(len(images))",
            "return sum(shares) / 4 => return 100 * sum(shares) / 4",
        ),
    ),
    "fair_leads": Slips(
        """
        def my_fair_leads(runs):
            def rate_of(model):
                rates = {run["rate"] for run in runs}
                means = {}
                for rate in rates:
                    chosen = [run["validation"] for run in runs if run["model"] == model and run["rate"] == rate and run["seed"] >= 100]
                    means[rate] = sum(chosen) / len(chosen)
                return max(means, key=means.get)
            def tests(model):
                rate = rate_of(model)
                return {run["seed"]: run["test"] for run in runs if run["model"] == model and run["rate"] == rate and run["seed"] < 100}
            cnn, vit = tests("CNN"), tests("ViT")
            return [cnn[seed] - vit[seed] for seed in sorted(cnn)]
        """,
        (
            'chosen = [run["validation"] => chosen = [run["test"]',
            ' and run["seed"] >= 100 =>',
            ' and run["seed"] < 100 =>',
            'run["seed"] >= 100 => run["seed"] < 100',
            'run["seed"] < 100 => run["seed"] >= 100',
            "max(means, key=means.get) => min(means, key=means.get)",
            "max(means, key=means.get) => max(means)",
            "max(means, key=means.get) => max(means.values())",
            'rate = rate_of(model) => rate = rate_of("CNN")',
            'rate = rate_of(model) => rate = rate_of("ViT")',
            "rate = rate_of(model) => rate = 0.01",
            "sum(chosen) / len(chosen) => max(chosen)",
            "cnn[seed] - vit[seed] => vit[seed] - cnn[seed]",
            "cnn[seed] - vit[seed] => abs(cnn[seed] - vit[seed])",
            "cnn[seed] - vit[seed] => cnn[seed]",
            'run["seed"]: run["test"] => run["seed"]: run["validation"]',
            "return [cnn[seed] - vit[seed] for seed in sorted(cnn)] => return sum(cnn.values()) / len(cnn) - sum(vit.values()) / len(vit)",
            "return [cnn[seed] - vit[seed] for seed in sorted(cnn)] => return max(cnn.values()) - max(vit.values())",
            "return [cnn[seed] - vit[seed] for seed in sorted(cnn)] => return cnn",
            "return [cnn[seed] - vit[seed] for seed in sorted(cnn)] => return [a - b for a, b in zip(sorted(cnn.values()), sorted(vit.values()))]",
            "return [cnn[seed] - vit[seed] for seed in sorted(cnn)] => return {seed: cnn[seed] - vit[seed] for seed in sorted(cnn)}",
            'if run["model"] == model and run["rate"] == rate and run["seed"] >= 100 => if run["rate"] == rate and run["seed"] >= 100',
            '== model and run["rate"] == rate and run["seed"] < 100 => == model and run["seed"] < 100',
        ),
    ),
    "comparison_clinic": Slips(
        """
        def my_comparison_diagnoses(reports):
            words = ["rate", "seed", "augmentation", "well", "test", "budget"]
            return dict(zip(reports, words))
        """,
        (
            '"rate", "seed" => "seed", "rate"',
            '"rate" => "well" ;; "well", "test" => "rate", "test"',
            '"rate" => "well"',
            '"well" => "rate"',
            '"well" => "budget"',
            '"seed" => "well"',
            '"augmentation" => "rate"',
            '"augmentation" => "well"',
            '"test", "budget" => "budget", "test"',
            '"test" => "well"',
            '"budget"] => "well"]',
            '"budget"] => "epochs"]',
            '"test" => "test set"',
            '"seed" => "Seed"',
            '"augmentation", => ',
            "dict(zip(reports, words)) => words",
            "dict(zip(reports, words)) => list(zip(reports, words))",
            "dict(zip(reports, words)) => dict(zip(words, reports))",
            "return dict => dict",
            "words)) => words[:5]))",
        ),
    ),
}
