"""Lessons 4 and 5."""

# ruff: noqa: E501  a line for each slip

from exercises.corpus import Slips

SLIPS = {
    "attention_by_hand": Slips(
        """
        def my_output(query, keys, values):
            return 6.7 + 0.9, 2.4 + 6.7
        """,
        (
            "6.7 + 0.9, 2.4 + 6.7 => 9.1, 7.6",
            "6.7 + 0.9, 2.4 + 6.7 => 0.09, 0.24, 0.67",
            "6.7 + 0.9, 2.4 + 6.7 => 0, 2, 4",
            "6.7 + 0.9, 2.4 + 6.7 => 0, 1, 2",
            "6.7 + 0.9, 2.4 + 6.7 => 10, 10",
            "6.7 + 0.9, 2.4 + 6.7 => 6.7, 6.7",
            "6.7 + 0.9, 2.4 + 6.7 => 7.6",
            "6.7 + 0.9, 2.4 + 6.7 => 20, 30",
            "6.7 + 0.9, 2.4 + 6.7 => 40, 60",
            "6.7 + 0.9, 2.4 + 6.7 => 8.83, 9.84",
            "6.7 + 0.9, 2.4 + 6.7 => 7.6, 6.7",
            "6.7 + 0.9, 2.4 + 6.7 => 6.67, 6.67",
            "6.7 + 0.9, 2.4 + 6.7 => [[7.6, 9.1]]",
            "6.7 + 0.9, 2.4 + 6.7 => 84, 101",
            "6.7 + 0.9, 2.4 + 6.7 => 76, 91",
        ),
    ),
    "attention": Slips(
        """
        def my_attention(q, k, v, mask=None):
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            if mask is not None:
                scores = scores.masked_fill(~mask, -torch.inf)
            weights = scores.softmax(dim=-1)
            return weights @ v
        """,
        (
            " / math.sqrt(q.shape[-1]) => ",
            "math.sqrt(q.shape[-1]) => q.shape[-1]",
            "math.sqrt(q.shape[-1]) => math.sqrt(q.shape[-2])",
            "math.sqrt(q.shape[-1]) => math.sqrt(k.shape[-2])",
            "math.sqrt(q.shape[-1]) => math.sqrt(len(q))",
            "/ math.sqrt => * math.sqrt",
            "k.transpose(-2, -1) => k",
            "k.transpose(-2, -1) => k.T",
            "k.transpose(-2, -1) => k.transpose(1, 2)",
            "k.transpose(-2, -1) => k.transpose(0, 1)",
            "~mask => mask",
            "-torch.inf => 0",
            "-torch.inf => torch.inf",
            "-torch.inf => -1",
            "softmax(dim=-1) => softmax(dim=-2)",
            "softmax(dim=-1) => softmax(dim=0)",
            "scores.softmax(dim=-1) => scores",
            "weights @ v => weights",
            "weights @ v => weights @ k",
            "weights @ v => v @ weights",
            "weights @ v => weights * v",
            "weights @ v => weights @ v, weights",
            "weights @ v => weights.transpose(-2, -1) @ v",
            "q @ k.transpose => k @ q.transpose",
            "scores = scores.masked_fill(~mask, -torch.inf) => scores.masked_fill(~mask, -torch.inf)",
            "scores = scores.masked_fill(~mask, -torch.inf) => scores = scores * mask",
            "scores.softmax(dim=-1) => scores.exp()",
            "scores.softmax(dim=-1) => scores.sigmoid()",
            "if mask is not None => if mask",
            "if mask is not None:\n                scores = scores.masked_fill(~mask, -torch.inf) => scores = scores.masked_fill(~mask, -torch.inf)",
            "weights @ v => F.dropout(weights, 0.1) @ v",
            "scores.softmax(dim=-1) => scores / scores.sum(-1, keepdim=True)",
            "math.sqrt(q.shape[-1]) => math.sqrt(v.shape[-1])",
            "weights @ v => q + weights @ v",
            "scores.softmax(dim=-1) => scores.log_softmax(dim=-1)",
        ),
    ),
    "attention_mask": Slips(
        """
        def my_mask(lengths, size):
            not_ahead = torch.ones(size, size, dtype=torch.bool).tril()
            real = torch.arange(size) < lengths[:, None]
            return not_ahead & real[:, None, :]
        """,
        (
            "tril() => triu()",
            "tril() => tril(-1)",
            "tril() => tril(1)",
            "< lengths => <= lengths",
            "< lengths => > lengths",
            "< lengths => >= lengths",
            "not_ahead & real => not_ahead | real",
            "real[:, None, :] => real[:, :, None]",
            "real[:, None, :] => real",
            "not_ahead & real[:, None, :] => not_ahead",
            "not_ahead & real[:, None, :] => real[:, None, :]",
            "not_ahead & real[:, None, :] => real",
            "not_ahead & real[:, None, :] => ~(not_ahead & real[:, None, :])",
            "not_ahead & real[:, None, :] => not_ahead * real[:, None, :] * 1.0",
            "lengths[:, None] => lengths",
            "not_ahead & real[:, None, :] => not_ahead and real[:, None, :]",
            ", dtype=torch.bool => ",
            "not_ahead & real[:, None, :] => not_ahead & real[:, None, :] & real[:, :, None]",
            "not_ahead & real[:, None, :] => torch.where(not_ahead & real[:, None, :], 0.0, -torch.inf)",
            "real[:, None, :] => real[None]",
            "torch.arange(size) => torch.arange(1, size + 1)",
            "not_ahead & real[:, None, :] => (not_ahead & real[:, None, :])[0]",
            "not_ahead & real[:, None, :] => not_ahead ^ real[:, None, :]",
            "not_ahead & real[:, None, :] => (not_ahead & real[:, None, :])[:, None]",
        ),
    ),
    "attention_cost": Slips(
        """
        def my_attention_cost(N, D):
            squared = N * D * N + N * N * D
            mlp = N * D * 4 * D + N * 4 * D * D
            return squared, mlp, 4 * D
        """,
        (
            "N * D * N + N * N * D => N * D * N",
            "N * D * N + N * N * D => N * N + N * N",
            "N * D * N + N * N * D => N * D * D + N * D * D",
            "N * D * N + N * N * D => N * N * D * D",
            "N * D * N + N * N * D => 3 * N * N * D",
            "N * D * 4 * D + N * 4 * D * D => N * D * 4 * D",
            "N * D * 4 * D + N * 4 * D * D => D * 4 * D + 4 * D * D",
            "N * D * 4 * D + N * 4 * D * D => N * D * D + N * D * D",
            "N * D * 4 * D + N * 4 * D * D => N * D * 4 + N * 4 * D",
            "mlp, 4 * D => mlp, D",
            "mlp, 4 * D => mlp, 8 * D",
            "mlp, 4 * D => mlp, 4 * N",
            "mlp, 4 * D => mlp, D / 4",
            "mlp, 4 * D => mlp, mlp / squared",
            "squared, mlp, 4 * D => mlp, squared, 4 * D",
            "squared, mlp, 4 * D => squared, mlp",
            "N * D * N + N * N * D => N * D * N + N * N * D + 4 * N * D * D",
            "N * D * 4 * D + N * 4 * D * D => N * D * 4 * D * N * 4 * D * D",
            "mlp, 4 * D => mlp, squared == mlp",
            "N * D * N + N * N * D => 2 * (N * D * N + N * N * D) ;; N * D * 4 * D + N * 4 * D * D => 2 * (N * D * 4 * D + N * 4 * D * D)",
        ),
    ),
    "self_attention": Slips(
        """
        class MySelfAttention(nn.Module):
            def __init__(self, dim, num_heads):
                super().__init__()
                self.query = nn.Linear(dim, dim)
                self.key = nn.Linear(dim, dim)
                self.value = nn.Linear(dim, dim)

            def forward(self, x):
                q, k, v = self.query(x), self.key(x), self.value(x)
                scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
                return scores.softmax(dim=-1) @ v
        """,
        (
            " / math.sqrt(q.shape[-1]) => ",
            "q.shape[-1] => q.shape[1]",
            "math.sqrt(q.shape[-1]) => q.shape[-1]",
            "k.transpose(1, 2) => k",
            "k.transpose(1, 2) => k.T",
            "k.transpose(1, 2) => k.transpose(0, 1)",
            "dim=-1 => dim=1",
            "dim=-1 => dim=0",
            "@ v => * v",
            "@ v => @ x",
            "self.query(x), self.key(x), self.value(x) => self.query(x), self.query(x), self.value(x)",
            "self.key = nn.Linear(dim, dim) => self.key = self.query",
            "self.query = nn => self.q = nn ;; self.query(x) => self.q(x)",
            "super().__init__() => ",
            "scores.softmax(dim=-1) @ v => scores @ v",
            "scores.softmax(dim=-1) @ v => scores.softmax(dim=-1)",
            "scores.softmax(dim=-1) @ v => x + scores.softmax(dim=-1) @ v",
            "scores.softmax(dim=-1) @ v => F.dropout(scores.softmax(dim=-1), 0.1) @ v",
            "self.value = nn.Linear(dim, dim) => self.value = nn.Linear(dim, dim) ;; scores.softmax(dim=-1) @ v => self.value(scores.softmax(dim=-1) @ v)",
            "self.query = nn.Linear(dim, dim) => self.query = nn.Linear(dim, dim, bias=False)",
            "self.value = nn.Linear(dim, dim) => self.value = nn.Linear(dim, dim); self.scale = nn.Parameter(torch.tensor(1.0))",
            "self.query(x), self.key(x), self.value(x) => self.query, self.key, self.value",
            "scores.softmax(dim=-1) @ v => (scores.softmax(dim=-1) @ v).transpose(1, 2)",
            "scores.softmax(dim=-1) @ v => v @ scores.softmax(dim=-1)",
            "self.query(x), self.key(x), self.value(x) => self.value(x), self.key(x), self.query(x)",
            "scores.softmax(dim=-1) @ v => (scores.softmax(dim=-1) @ v).mean(1)",
            "nn.Linear(dim, dim) => nn.Linear(dim, dim // num_heads * 2)",
        ),
    ),
    "mended_attention": Slips(
        """
        class MendedAttention(nn.Module):
            def __init__(self, dim, num_heads):
                super().__init__()
                self.query = nn.Linear(dim, dim)
                self.key = nn.Linear(dim, dim)
                self.value = nn.Linear(dim, dim)

            def forward(self, x):
                q, k, v = self.query(x), self.key(x).transpose(1, 2), self.value(x)
                weights = (q @ k / math.sqrt(q.shape[-1])).softmax(dim=-1)
                return weights @ v
        """,
        (
            "q.shape[-1] => k.shape[-1]",
            "q.shape[-1] => q.shape[1]",
            " / math.sqrt(q.shape[-1]) => ",
            "math.sqrt(q.shape[-1]) => q.shape[-1]",
            "math.sqrt(q.shape[-1]) => math.sqrt(32)",
            "math.sqrt(q.shape[-1]) => 8",
            "math.sqrt(q.shape[-1]) => x.shape[1]",
            "dim=-1 => dim=1",
            "/ math => * math",
            "math.sqrt(q.shape[-1]) => math.sqrt(len(x))",
            "math.sqrt(q.shape[-1]) => math.sqrt(q.shape[-1] / x.shape[1])",
            "weights @ v => weights @ v / x.shape[1]",
            "self.key(x).transpose(1, 2) => self.key(x)",
            "weights @ v => weights @ v * 2",
            "(q @ k / math.sqrt(q.shape[-1])).softmax(dim=-1) => (q @ k).softmax(dim=-1) / math.sqrt(q.shape[-1])",
            "weights @ v => weights @ v + x",
            "math.sqrt(q.shape[-1]) => math.sqrt(v.numel())",
        ),
    ),
    "head_numbers": Slips(
        """
        def my_head_numbers(dim, num_heads):
            length = dim // num_heads
            return length, length ** 0.5, (dim * 3 * dim + 3 * dim) + (dim * dim + dim)
        """,
        (
            "length, length ** => dim, length **",
            "length ** 0.5 => dim ** 0.5",
            "length ** 0.5 => length",
            "length ** 0.5 => length ** 2",
            "length ** 0.5 => num_heads ** 0.5",
            "(dim * dim + dim) => (dim * dim)",
            "(dim * 3 * dim + 3 * dim) => (dim * 3 * dim + dim)",
            "(dim * 3 * dim + 3 * dim) + (dim * dim + dim) => (dim * 3 * dim) + (dim * dim)",
            "(dim * 3 * dim + 3 * dim) + (dim * dim + dim) => 3 * dim * dim",
            "(dim * 3 * dim + 3 * dim) + (dim * dim + dim) => 3 * dim * dim + 3 * dim",
            "(dim * 3 * dim + 3 * dim) + (dim * dim + dim) => num_heads * (4 * dim * dim + 4 * dim)",
            "(dim * 3 * dim + 3 * dim) + (dim * dim + dim) => num_heads * (3 * dim * length)",
            "(dim * 3 * dim + 3 * dim) => (dim * dim + dim)",
            "dim // num_heads => dim * num_heads",
            "length ** 0.5 => 1 / length ** 0.5",
            "length, length ** 0.5, => length,",
            "length, length ** 0.5, (dim => num_heads, length ** 0.5, (dim",
            "(dim * 3 * dim + 3 * dim) + (dim * dim + dim) => 4 * length * length + 4 * length",
        ),
    ),
    "split_heads": Slips(
        """
        def my_split_heads(x, num_heads):
            B, N, D = x.shape
            split = x.reshape(B, N, num_heads, D // num_heads)
            return split.transpose(1, 2)
        """,
        (
            "split.transpose(1, 2) => split",
            "split.transpose(1, 2) => split.transpose(2, 3)",
            "split.transpose(1, 2) => split.transpose(0, 1)",
            "split.transpose(1, 2) => split.transpose(1, 3)",
            "num_heads, D // num_heads => D // num_heads, num_heads",
            "B, N, num_heads, D // num_heads => B, num_heads, N, D // num_heads ;; split.transpose(1, 2) => split",
            "D // num_heads => D / num_heads",
            "D // num_heads => D",
            "split.transpose(1, 2) => split.permute(0, 2, 3, 1)",
            "split.transpose(1, 2) => split.permute(2, 0, 1, 3)",
            "split.transpose(1, 2) => split.permute(2, 1)",
            "B, N, D = x.shape => N, D = x.shape",
            "split.transpose(1, 2) => split.transpose(1, 2).flatten(0, 1)",
            "split.transpose(1, 2) => split.transpose(1, 2)[:, 0]",
            "split.transpose(1, 2) => split.transpose(1, 2).sum(1)",
            "B, N, num_heads, D // num_heads => B, num_heads, N, D // num_heads",
            "split.transpose(1, 2) => split.transpose(1, 2).reshape(B, N, D)",
            "split.transpose(1, 2) => split.transpose(1, 2) / (D // num_heads) ** 0.5",
            "split.transpose(1, 2) => split.transpose(1, 2).flip(1)",
            "split.transpose(1, 2) => [h for h in split.unbind(2)]",
        ),
    ),
    "merge_heads": Slips(
        """
        def my_merge_heads(heads):
            B, h, N, d = heads.shape
            return heads.transpose(1, 2).reshape(B, N, h * d)
        """,
        (
            "heads.transpose(1, 2).reshape => heads.reshape",
            "transpose(1, 2) => transpose(2, 3)",
            "transpose(1, 2) => transpose(1, 3)",
            "transpose(1, 2).reshape => transpose(1, 2).view",
            "heads.transpose(1, 2).reshape(B, N, h * d) => heads.transpose(1, 2)",
            "B, N, h * d => B, h * N, d",
            "B, N, h * d => B, N * h, d",
            "B, N, h * d => B * N, h * d",
            "heads.transpose(1, 2).reshape(B, N, h * d) => heads.sum(1)",
            "heads.transpose(1, 2).reshape(B, N, h * d) => heads.mean(1)",
            "heads.transpose(1, 2).reshape(B, N, h * d) => heads.flatten(1, 2)",
            "B, h, N, d = heads.shape => B, N, h, d = heads.shape",
            "B, N, h * d => B, N, d",
            "transpose(1, 2) => permute(0, 2, 3, 1)",
            "heads.transpose(1, 2).reshape(B, N, h * d) => torch.cat(heads, dim=-1)",
            "heads.transpose(1, 2).reshape(B, N, h * d) => torch.cat(list(heads.unbind(1)), dim=1)",
            "B, N, h * d => B, h * d, N",
            "B, N, h * d) => B, N, h * d).softmax(-1)",
            "h * d => h + d",
        ),
    ),
    "head_map": Slips(
        """
        def my_head_map(qkv_weight, proj_weight, num_heads, head):
            D = proj_weight.shape[0]
            d = D // num_heads
            own = slice(head * d, (head + 1) * d)
            down = qkv_weight[2 * D:][own].T
            up = proj_weight[:, own].T
            return down @ up
        """,
        (
            "2 * D: => D:",
            "qkv_weight[2 * D:] => qkv_weight",
            "[own].T => [own]",
            "[:, own].T => [:, own]",
            "down @ up => up @ down",
            "proj_weight[:, own] => proj_weight[own]",
            "down @ up => up.T @ down.T",
            "down @ up => down * up",
            "(head + 1) * d => (head + 2) * d",
            "head * d, => (head - 1) * d, ;; (head + 1) * d => head * d",
            "D // num_heads => D",
            "qkv_weight[2 * D:][own].T => qkv_weight[2 * D:].T[own]",
            "down @ up => (down @ up) / math.sqrt(d)",
            "down @ up => down + up.T",
            "slice(head * d, (head + 1) * d) => slice(head, None, num_heads)",
            "return down @ up => return down",
            "qkv_weight[2 * D:] => qkv_weight[-d:]",
            "down @ up => (down @ up).sum(0)",
            "D // num_heads => D / num_heads",
            "down @ up => (down @ up).T",
        ),
    ),
    "multi_head_attention": Slips(
        """
        class MyAttention(nn.Module):
            def __init__(self, dim, num_heads):
                super().__init__()
                self.num_heads = num_heads
                self.qkv = nn.Linear(dim, 3 * dim)
                self.proj = nn.Linear(dim, dim)

            def forward(self, x):
                B, N, D = x.shape
                q, k, v = self.qkv(x).chunk(3, dim=-1)
                q, k, v = (t.reshape(B, N, self.num_heads, -1).transpose(1, 2) for t in (q, k, v))
                scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
                heads = scores.softmax(dim=-1) @ v
                return self.proj(heads.transpose(1, 2).reshape(B, N, D))
        """,
        (
            " / math.sqrt(q.shape[-1]) => ",
            "q.shape[-1] => D",
            "math.sqrt(q.shape[-1]) => q.shape[-1]",
            "q.shape[-1] => N",
            "softmax(dim=-1) => softmax(dim=-2)",
            "softmax(dim=-1) => softmax(dim=1)",
            "return self.proj(heads.transpose(1, 2).reshape(B, N, D)) => return heads.transpose(1, 2).reshape(B, N, D)",
            "heads.transpose(1, 2).reshape(B, N, D) => heads.reshape(B, N, D)",
            ".transpose(1, 2) for t => for t",
            "reshape(B, N, self.num_heads, -1).transpose(1, 2) => reshape(B, self.num_heads, N, -1)",
            "k.transpose(-2, -1) => k",
            "k.transpose(-2, -1) => k.transpose(1, 2)",
            "q, k, v = self.qkv(x).chunk => k, q, v = self.qkv(x).chunk",
            "chunk(3, dim=-1) => chunk(3)",
            "chunk(3, dim=-1) => chunk(3, dim=1)",
            "self.qkv = nn.Linear(dim, 3 * dim) => self.qkv = nn.Linear(dim, dim)",
            "self.proj = => self.out =  ;; self.proj(heads => self.out(heads",
            "self.num_heads = num_heads => ",
            "super().__init__() => ",
            "heads = scores.softmax(dim=-1) @ v => heads = scores @ v",
            "heads = scores.softmax(dim=-1) @ v => heads = scores.softmax(dim=-1)",
            "heads = scores.softmax(dim=-1) @ v => heads = F.dropout(scores.softmax(dim=-1), 0.1) @ v",
            "return self.proj => return x + self.proj",
            "self.qkv = nn.Linear(dim, 3 * dim) => self.qkv = nn.Linear(dim, 3 * dim, bias=False)",
            "self.num_heads, -1) => -1, self.num_heads)",
            "scores.softmax(dim=-1) @ v => scores.softmax(dim=-1) @ q",
            "scores.softmax(dim=-1) @ v => scores.softmax(dim=-1) @ v.relu()",
            "return self.proj(heads.transpose(1, 2).reshape(B, N, D)) => return self.proj(self.proj(heads.transpose(1, 2).reshape(B, N, D)))",
            "heads.transpose(1, 2).reshape(B, N, D) => heads.transpose(1, 2).reshape(B, N, D).softmax(-1)",
            "q.shape[-1] => q.shape[-1] ;; return self.proj( => return self.proj(2 * ",
            "(t.reshape => (t.relu().reshape",
            "in (q, k, v)) => in (q, k))",
            "q.shape[-1] => self.num_heads",
        ),
    ),
    "attention_ward": Slips(
        """
        def my_diagnosis(patient):
            found = {"A": "merge", "B": "softmax", "C": "order", "D": "dropout", "E": "divisor", "F": "view"}
            return found[patient]
        """,
        (
            '"A": "merge" => "A": "view" ;; "F": "view" => "F": "merge"',
            '"B": "softmax" => "B": "divisor" ;; "E": "divisor" => "E": "softmax"',
            '"C": "order" => "C": "merge"',
            '"D": "dropout" => "D": ...',
            '"D": "dropout" => "D": "Dropout"',
            '"E": "divisor" => "E": "scale"',
            '"E": "divisor",  => ',
            "found[patient] => found",
            "found[patient] => list(found.values())",
            "found[patient] => patient",
            'found[patient] => "softmax"',
            "return found[patient] => found[patient]",
            '"F": "view" => "F": "order"',
            '"A": "merge" => "A": "softmax" ;; "B": "softmax" => "B": "merge"',
            "found[patient] => found(patient)",
        ),
    ),
}
