"""Lesson 10."""

# ruff: noqa: E501  a line for each slip

from exercises.corpus import Slips

SLIPS = {
    "layer_rates": Slips(
        """
        def my_layer_rates(depth, decay):
            factors = []
            for layer in range(depth + 2):
                factors.append(decay ** (depth + 1 - layer))
            return factors
        """,
        (
            "decay ** (depth + 1 - layer) => decay ** layer",
            "decay ** (depth + 1 - layer) => decay ** (depth - layer)",
            "decay ** (depth + 1 - layer) => decay ** (depth + 2 - layer)",
            "decay ** (depth + 1 - layer) => decay * (depth + 1 - layer)",
            "decay ** (depth + 1 - layer) => decay ^ (depth + 1 - layer)",
            "decay ** (depth + 1 - layer) => 1 - decay * layer",
            "decay ** (depth + 1 - layer) => decay / (layer + 1)",
            "decay ** (depth + 1 - layer) => (depth + 1 - layer) ** decay",
            "decay ** (depth + 1 - layer) => decay",
            "decay ** (depth + 1 - layer) => (1 - decay) ** (depth + 1 - layer)",
            "decay ** (depth + 1 - layer) => decay ** (layer - depth - 1)",
            "range(depth + 2) => range(depth + 1)",
            "range(depth + 2) => range(depth)",
            "range(depth + 2) => range(1, depth + 2)",
            "range(depth + 2) => range(depth + 3)",
            "range(depth + 2) => range(depth) ;; depth + 1 - layer => depth - layer",
            "range(depth + 2) => range(depth + 1) ;; depth + 1 - layer => depth - layer",
            "range(depth + 2) => range(depth + 3) ;; depth + 1 - layer => depth + 2 - layer",
            "return factors => return factors[::-1]",
            "return factors => return factors[-1]",
            "return factors => return sum(factors)",
            "return factors => return {layer: factor for layer, factor in enumerate(factors)}",
            "factors.append(decay ** (depth + 1 - layer)) => factors.append(0.003 * decay ** (depth + 1 - layer))",
            "    return factors =>     return sorted(factors, reverse=True)",
            """
            def my_layer_rates(depth, decay):
                factors = [1]
                for _ in range(depth + 1):
                    factors.append(factors[-1] * decay)
                return factors
            """,
            """
            def my_layer_rates(depth, decay):
                return [decay ** depth] + [decay ** (depth - i) for i in range(depth)] + [1]
            """,
            """
            def my_layer_rates(depth, decay):
                blocks = [decay ** i for i in range(depth)]
                return [decay ** (depth + 1), *blocks, 1.0]
            """,
            """
            def my_layer_rates(depth, decay):
                rates = torch.ones(depth + 2)
                for i in range(depth + 1):
                    rates[i] = rates[i + 1] * decay
                return rates
            """,
            """
            def my_layer_rates(depth, decay):
                return [0] + [decay ** (depth - i) for i in range(depth)] + [1]
            """,
            """
            def my_layer_rates(depth, decay):
                return torch.linspace(decay, 1, depth + 2)
            """,
        ),
    ),
    "knn": Slips(
        """
        def my_knn(features, labels, queries, k, num_classes):
            features = F.normalize(features, dim=-1)
            queries = F.normalize(queries, dim=-1)
            similarity = queries @ features.T
            places = similarity.topk(k, dim=1).indices
            found = labels[places]
            votes = F.one_hot(found, num_classes).float()
            return votes.mean(dim=1)
        """,
        (
            "features = F.normalize(features, dim=-1) => pass",
            "features = F.normalize(features, dim=-1) => pass ;; queries = F.normalize(queries, dim=-1) => pass",
            "F.normalize(features, dim=-1) => F.normalize(features, dim=0) ;; F.normalize(queries, dim=-1) => F.normalize(queries, dim=0)",
            "F.normalize(features, dim=-1) => F.normalize(features, dim=0)",
            "F.normalize(features, dim=-1) => features / features.norm()",
            "F.normalize(features, dim=-1) => features / features.sum(-1, keepdim=True)",
            "F.normalize(features, dim=-1) => features.softmax(-1)",
            "queries @ features.T => torch.cdist(queries, features)",
            "queries @ features.T => features @ queries.T",
            "queries @ features.T => queries @ features",
            "similarity.topk(k, dim=1) => similarity.topk(k, dim=0)",
            "similarity.topk(k, dim=1) => similarity.topk(k, dim=1, largest=False)",
            "similarity.topk(k, dim=1) => similarity.topk(1, dim=1)",
            "similarity.topk(k, dim=1) => similarity.topk(min(k + 1, len(labels)), dim=1)",
            "similarity.topk(k, dim=1).indices => similarity.argsort(dim=1)[:, :k]",
            "similarity.topk(k, dim=1).indices => similarity.argsort(dim=1, descending=True)[:, 1:k + 1]",
            "similarity.topk(k, dim=1).indices => similarity.topk(k, dim=1).values",
            "similarity.topk(k, dim=1).indices => similarity.topk(k, dim=1)",
            "similarity.topk(k, dim=1).indices => similarity.topk(num_classes, dim=1).indices",
            "found = labels[places] => found = places",
            "found = labels[places] => found = places % num_classes",
            "F.one_hot(found, num_classes).float() => found.float()",
            "F.one_hot(found, num_classes).float() => F.one_hot(found).float()",
            "F.one_hot(found, num_classes).float() => F.one_hot(found, num_classes)",
            "votes.mean(dim=1) => votes.sum(dim=1)",
            "votes.mean(dim=1) => votes.sum(dim=1) / num_classes",
            "votes.mean(dim=1) => votes.sum(dim=1) / len(labels)",
            "votes.mean(dim=1) => votes.mean(dim=0)",
            "votes.mean(dim=1) => votes.mean(dim=-1)",
            "votes.mean(dim=1) => votes.mean()",
            "votes.mean(dim=1) => votes",
            "votes.mean(dim=1) => votes.mean(dim=1).argmax(dim=1)",
            "votes.mean(dim=1) => votes.mean(dim=1).T",
            "votes.mean(dim=1) => votes.sum(dim=1).softmax(dim=1)",
            "votes.mean(dim=1) => votes.mean(dim=1).round()",
            "votes.mean(dim=1) => found.mode(dim=1).values",
            "queries @ features.T => (queries @ features.T).abs()",
            """
            def my_knn(features, labels, queries, k, num_classes):
                distance = ((queries[:, None] - features[None]) ** 2).sum(-1)
                places = distance.topk(k, largest=False).indices
                return F.one_hot(labels[places], num_classes).float().mean(1)
            """,
            """
            def my_knn(features, labels, queries, k, num_classes):
                shares = torch.zeros(len(queries), num_classes)
                for i, query in enumerate(queries):
                    similarity = F.cosine_similarity(query, features)
                    for place in similarity.argsort()[-k:]:
                        shares[i, labels[place]] = 1 / k
                return shares
            """,
        ),
    ),
    "lora": Slips(
        """
        class MyLoRA(nn.Module):
            def __init__(self, linear, rank, alpha):
                super().__init__()
                self.linear = linear
                self.linear.requires_grad_(False)
                self.A = nn.Parameter(torch.randn(rank, linear.in_features) * 0.02)
                self.B = nn.Parameter(torch.zeros(linear.out_features, rank))
                self.scale = alpha / rank

            def forward(self, x):
                low = x @ self.A.T
                return self.linear(x) + self.scale * (low @ self.B.T)
        """,
        (
            "super().__init__() => pass",
            "self.linear.requires_grad_(False) => pass",
            "self.linear.requires_grad_(False) => self.linear.weight.requires_grad = False",
            "self.linear.requires_grad_(False) => self.linear.eval()",
            "torch.zeros(linear.out_features, rank) => torch.randn(linear.out_features, rank)",
            "torch.randn(rank, linear.in_features) * 0.02 => torch.zeros(rank, linear.in_features)",
            "nn.Parameter(torch.zeros(linear.out_features, rank)) => torch.zeros(linear.out_features, rank)",
            "nn.Parameter(torch.randn(rank, linear.in_features) * 0.02) => torch.randn(rank, linear.in_features) * 0.02",
            "torch.randn(rank, linear.in_features) => torch.randn(linear.in_features, rank) ;; self.A.T => self.A",
            "torch.randn(rank, linear.in_features) => torch.randn(linear.in_features, rank) ;; torch.zeros(linear.out_features, rank) => torch.zeros(rank, linear.out_features) ;; self.A.T => self.A ;; self.B.T => self.B",
            "torch.zeros(linear.out_features, rank) => torch.zeros(linear.in_features, rank)",
            "torch.randn(rank, linear.in_features) => torch.randn(rank, linear.out_features) ;; torch.zeros(linear.out_features, rank) => torch.zeros(linear.in_features, rank)",
            "alpha / rank => alpha",
            "alpha / rank => rank / alpha",
            "alpha / rank => 1 / rank",
            "alpha / rank => alpha // rank",
            "alpha / rank => alpha / rank ** 0.5",
            "alpha / rank => alpha * rank",
            "self.scale * (low @ self.B.T) => low @ self.B.T",
            "self.linear(x) + self.scale * (low @ self.B.T) => self.linear(x)",
            "self.linear(x) + self.scale * (low @ self.B.T) => self.scale * (low @ self.B.T)",
            "self.linear(x) + self.scale * (low @ self.B.T) => self.scale * (self.linear(x) + low @ self.B.T)",
            "self.linear(x) + self.scale * (low @ self.B.T) => self.linear(x + self.scale * (low @ self.B.T))",
            "self.linear(x) + self.scale => self.linear(x) - self.scale",
            "self.linear(x) + self.scale => self.linear(x) * self.scale",
            "self.linear(x) + self.scale => x @ self.linear.weight.T + self.scale",
            "self.linear(x) + self.scale => x + self.scale",
            "self.linear(x) + self.scale => self.linear(x).detach() + self.scale",
            "low = x @ self.A.T => low = self.A @ x",
            "low = x @ self.A.T => low = x @ self.A",
            "low = x @ self.A.T => low = F.relu(x @ self.A.T)",
            "low = x @ self.A.T => low = self.linear(x) @ self.A.T",
            "low = x @ self.A.T => low = (x @ self.A.T).detach()",
            "low @ self.B.T => low @ self.B",
            "self.linear = linear => self.linear = nn.Linear(linear.in_features, linear.out_features)",
            "self.linear = linear => self.linear = [linear] ;; self.linear.requires_grad_(False) => linear.requires_grad_(False) ;; self.linear(x) => self.linear[0](x)",
            "self.scale = alpha / rank => self.BA = alpha / rank * self.B @ self.A ;; self.scale * (low @ self.B.T) => x @ self.BA.T",
            """
            class MyLoRA(nn.Module):
                def __init__(self, linear, rank, alpha):
                    super().__init__()
                    self.linear = linear.requires_grad_(False)
                    self.A = nn.Linear(linear.in_features, rank)
                    self.B = nn.Linear(rank, linear.out_features)
                    nn.init.zeros_(self.B.weight)
                    self.scale = alpha / rank

                def forward(self, x):
                    return self.linear(x) + self.scale * self.B(self.A(x))
            """,
            """
            class MyLoRA(nn.Module):
                def __init__(self, linear, rank, alpha):
                    super().__init__()
                    self.linear = linear.requires_grad_(False)
                    self.lora_A = nn.Parameter(torch.randn(rank, linear.in_features))
                    self.lora_B = nn.Parameter(torch.zeros(linear.out_features, rank))
                    self.scale = alpha / rank

                def forward(self, x):
                    return self.linear(x) + self.scale * (x @ self.lora_A.T @ self.lora_B.T)
            """,
            """
            class MyLoRA(nn.Module):
                def __init__(self, linear, rank, alpha):
                    super().__init__()
                    self.A = nn.Parameter(torch.randn(rank, linear.in_features))
                    self.B = nn.Parameter(torch.zeros(linear.out_features, rank))
                    self.linear = linear
                    self.scale = alpha / rank
                    for p in self.parameters():
                        p.requires_grad = False

                def forward(self, x):
                    return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)
            """,
        ),
    ),
    "merged_qkv": Slips(
        """
        def my_merge(weight, A_q, B_q, A_v, B_v, alpha):
            D = weight.shape[1]
            scale = alpha / A_q.shape[0]
            merged = weight.clone()
            merged[:D] += scale * B_q @ A_q
            merged[2 * D:] += scale * B_v @ A_v
            return merged
        """,
        (
            "alpha / A_q.shape[0] => alpha",
            "alpha / A_q.shape[0] => 1",
            "alpha / A_q.shape[0] => alpha / D",
            "alpha / A_q.shape[0] => alpha / A_q.shape[1]",
            "alpha / A_q.shape[0] => alpha / len(weight)",
            "alpha / A_q.shape[0] => alpha * A_q.shape[0]",
            "alpha / A_q.shape[0] => A_q.shape[0] / alpha",
            "alpha / A_q.shape[0] => 1 / A_q.shape[0]",
            "alpha / A_q.shape[0] => alpha // A_q.shape[0]",
            "weight.clone() => weight",
            "weight.clone() => torch.zeros_like(weight)",
            "merged[2 * D:] => merged[D:2 * D]",
            "merged[2 * D:] => merged[D:]",
            "merged[:D] => merged[:2 * D]",
            "merged[:D] => merged[:, :D]",
            "merged[:D] => merged[2 * D:] ;; merged[2 * D:] += scale * B_v => merged[:D] += scale * B_v",
            "B_q @ A_q => A_q @ B_q",
            "B_q @ A_q => A_q @ B_q ;; B_v @ A_v => A_v @ B_v",
            "B_q @ A_q => A_q.T @ B_q.T ;; B_v @ A_v => A_v.T @ B_v.T",
            "B_q @ A_q => B_q * A_q.T",
            "B_v @ A_v => B_q @ A_q",
            "B_v @ A_v => B_q @ A_v ;; B_q @ A_q => B_v @ A_q",
            "merged[2 * D:] += scale * B_v @ A_v => pass",
            "merged[:D] += scale * B_q @ A_q => pass",
            "merged[:D] += => merged[:D] -= ;; merged[2 * D:] += => merged[2 * D:] -=",
            "merged[:D] += => merged[:D] = ;; merged[2 * D:] += => merged[2 * D:] =",
            "merged[:D] += => merged[:D] *= ;; merged[2 * D:] += => merged[2 * D:] *=",
            "return merged => return merged.T",
            "return merged => return merged.reshape(3, D, D)",
            "return merged => return merged[:D], merged[2 * D:]",
            "return merged => return merged.chunk(3)",
            "return merged => return torch.cat([merged[:D], merged[2 * D:]])",
            "merged[:D] => merged[::3] ;; merged[2 * D:] => merged[2::3]",
            "scale * B_v @ A_v => B_v @ A_v",
            "scale * B_q @ A_q => B_q @ A_q",
            "merged[2 * D:] += scale * B_v @ A_v => merged += (scale * B_v @ A_v).repeat(3, 1)",
            """
            def my_merge(weight, A_q, B_q, A_v, B_v, alpha):
                w_q, w_k, w_v = weight.chunk(3, dim=1)
                scale = alpha / len(A_q)
                return torch.cat([w_q + scale * B_q @ A_q, w_k, w_v + scale * B_v @ A_v], dim=1)
            """,
            """
            def my_merge(weight, A_q, B_q, A_v, B_v, alpha):
                w_q, w_k, w_v = weight.chunk(3)
                scale = alpha / len(A_q)
                return torch.cat([w_q + scale * B_q @ A_q, w_v + scale * B_v @ A_v, w_k])
            """,
            """
            def my_merge(weight, A_q, B_q, A_v, B_v, alpha):
                A = torch.cat([A_q, A_v])
                B = torch.cat([B_q, B_v], dim=1)
                return weight + alpha / len(A_q) * torch.cat([B @ A] * 3)
            """,
        ),
    ),
    "fine_tuning_clinic": Slips(
        """
        def my_recipe_diagnoses(patients):
            return {"A": "frozen", "B": "statistics", "C": "head", "D": "well", "E": "weights", "F": "rate"}
        """,
        (
            '"A": "frozen" => "A": "well"',
            '"A": "frozen" => "A": "weights"',
            '"B": "statistics" => "B": "weights"',
            '"B": "statistics" => "B": "well" ;; "D": "well" => "D": "statistics"',
            '"B": "statistics" => "B": "weights" ;; "E": "weights" => "E": "statistics"',
            '"C": "head" => "C": "rate"',
            '"C": "head" => "C": "rate" ;; "F": "rate" => "F": "head"',
            '"D": "well" => "D": "rate"',
            '"E": "weights" => "E": "head"',
            '"E": "weights" => "E": "statistics"',
            '"F": "rate" => "F": "weights"',
            '"F": "rate" => "F": "Rate"',
            '"A": "frozen", => ',
            '"D": "well" => "D": None',
            '"A": "frozen" => "A": "freeze"',
            'return {"A": => return {"a":',
            """
            def my_recipe_diagnoses(patients):
                return ["frozen", "statistics", "head", "well", "weights", "rate"]
            """,
            """
            def my_recipe_diagnoses(patients):
                return {letter: "well" for letter in patients}
            """,
        ),
    ),
}
