"""The README quotes what was measured: each of its figures is read off a record in data/results."""

import json
from pathlib import Path
from statistics import mean

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def record(name):
    return json.loads((Path(__file__).parent.parent / "data" / "results" / f"{name}.json").read_text())


def test_the_training_figures_are_the_recorded_ones():
    seeds = record("benchmark_training")["seeds"]
    tests, seconds, memory = ([row[key] for row in seeds] for key in ("test", "seconds", "memory"))
    assert len(seeds) >= 3
    quoted = (
        f"{mean(tests):.1%} test accuracy (mean of {len(seeds)} seeds; {min(tests):.1%} to {max(tests):.1%}) in "
        f"{mean(seconds):.0f} s with {max(memory):.1f} GB of memory"
    )
    assert quoted in README
    assert min(tests) > 0.85
    assert max(seconds) < 100
    assert max(memory) < 1.5


def test_the_figure_of_the_shipped_model_is_the_recorded_one():
    assert f"{record('vit_fashion_mnist')['test']['accuracy']:.1%} on its 10,000 test images" in README


def test_the_speed_table_is_the_recorded_one():
    rows = record("benchmark_speed")["rows"]
    assert len(rows) == 6
    for row in rows:
        ratios = f"{row['ours/torchvision']:.2f} | {row['ours/timm']:.2f}"
        assert f"| {row['config']}, batch {row['batch']} | {row['work']} | {ratios} |" in README


def test_the_hardware_is_named():
    for name in ("benchmark_training", "benchmark_speed"):
        environment = record(name)["environment"]
        assert environment["hardware"] in README
        assert f"torch {environment['torch'].split('+')[0]}" in README
