"""The benchmark of a block's parts: it counts and measures what it says, and its stored record agrees with itself."""

import json
import statistics
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vit_tutorial.datasets import DATA_FOLDER

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cost():
    """Import the script as Python finds it when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent / "benchmarks"))
        import bench_cost
    return bench_cost


@pytest.fixture(scope="module")
def record():
    return json.loads((DATA_FOLDER / "results" / "benchmark_cost.json").read_text(encoding="utf-8"))


# --- The script ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("images", "num_tokens", "dim"), [(1, 16, 24), (3, 40, 12)])
def test_the_counted_work_is_what_torch_counts(cost, images, num_tokens, dim):
    counted, parts = cost.count(num_tokens, dim), cost.make_parts(num_tokens, dim, 3, tokens_a_call=images * num_tokens)
    assert list(counted) == list(parts)
    for part in ("explicit", "projections", "mlp"):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            parts[part]()
        assert images * counted[part] == counter.get_total_flops()


def test_attention_and_mlp_are_counted_alike_at_four_tokens_a_number(cost):
    for dim in (64, 192):
        assert cost.count(4 * dim, dim)["explicit"] == cost.count(4 * dim, dim)["mlp"]


def test_both_paths_give_the_same(cost):
    q, k, v = cost.make_heads(2, 20, 24, 3)
    outputs = [path(q, k, v) for path in cost.PATHS.values()]
    assert outputs[0].shape == (2, 3, 20, 8)
    torch.testing.assert_close(*outputs)


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([64 / 300, 128 / 300, 256 / 300, 512 / 300], 300),  # proportional to N, and found exactly
        ([0.25, 1.0, 4.0, 16.0], 128),
        ([0.5, 1.1, 0.5, 2.0], 362),  # the last time counts: halfway, on a logarithmic axis, from 256 to 512
        ([0.1, 0.2, 0.4, 0.8], None),
        ([0.5, 2.0, 4.0, 1.0], None),
    ],
)
def test_the_crossover_is_where_the_ratio_passes_one_for_good(cost, ratios, expected):
    assert cost.crossover([64, 128, 256, 512], ratios) == expected


def test_a_crossover_below_all_that_was_measured_is_said(cost):
    with pytest.raises(ValueError, match=r"the ratio is 1.50 at 64 tokens already; measure at fewer tokens"):
        cost.crossover([64, 128], [1.5, 3.0])


def test_a_small_run_times_every_part(cost, monkeypatch):
    monkeypatch.setattr(cost, "TOKENS", (16, 256))
    monkeypatch.setattr(cost, "TOKENS_A_CALL", 256)
    rows = cost.time_parts(8, 2, rounds=3, clock=time.perf_counter)
    assert [(row["N"], row["images"]) for row in rows] == [(16, 16), (256, 1)]
    assert all(value > 0 for row in rows for value in row["milliseconds"].values())
    assert [row["flops_per_image"]["mlp"] for row in rows] == [16 * 16 * 64, 16 * 256 * 64]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_the_explicit_path_holds_tables_of_weights_and_the_fused_one_none(cost):
    table = 4 * 4 * 1024**2
    explicit, fused = (cost.peak_memory(path, 1024, 64, 4) for path in ("explicit", "fused"))
    assert 1.5 * table < explicit < 3 * table
    assert fused < 0.5 * table


# --- The stored record -----------------------------------------------------------------------------------------------


def test_the_record_is_whole(cost, record):
    sizes = [(row["D"], row["heads"], row["N"]) for row in record["rows"]]
    assert sizes == [(*widths, n) for widths in cost.WIDTHS.items() for n in cost.TOKENS]
    for row in record["rows"]:
        assert row["flops_per_image"] == cost.count(row["N"], row["D"])
        assert row["images"] * row["N"] == record["tokens_a_call"]
        for path in cost.PATHS:
            of_medians = row["milliseconds"][path] / row["milliseconds"]["mlp"]
            assert row["over_mlp"][path] == pytest.approx(of_medians, rel=0.25)
    assert record["environment"]["threads"] == 1
    assert record["rounds"] >= 10


def test_the_recorded_crossovers_follow_from_the_recorded_times(cost, record):
    for row in record["crossovers"]:
        own = [timed for timed in record["rows"] if timed["D"] == row["D"]]
        for path in cost.PATHS:
            assert row[path] == cost.crossover(list(cost.TOKENS), [timed["over_mlp"][path] for timed in own])
        assert row["counted"] == 4 * row["D"]


def test_what_looks_at_each_token_alone_takes_the_same_time_at_every_n(record):
    for dim in (64, 192):
        for part in ("projections", "mlp"):
            times = [row["milliseconds"][part] for row in record["rows"] if row["D"] == dim]
            assert max(times) < 1.5 * statistics.median(times)


def test_the_recorded_memory_of_the_explicit_path_is_that_of_its_tables(cost, record):
    sizes = [(row["D"], row["heads"], row["N"]) for row in record["memory"]]
    assert sizes == [(*widths, n) for widths in cost.WIDTHS.items() for n in cost.MEMORY_TOKENS]
    for row in record["memory"]:
        assert row["table_bytes"] == 4 * row["heads"] * row["N"] ** 2
        assert 1.5 * row["table_bytes"] < row["peak_bytes"]["explicit"] < 3 * row["table_bytes"]
        assert row["peak_bytes"]["fused"] < 0.25 * row["table_bytes"]


def test_the_record_is_described(record):
    assert record["command"] in (DATA_FOLDER / "README.md").read_text(encoding="utf-8")
