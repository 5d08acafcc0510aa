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


def test_the_figures_of_the_shipped_models_are_the_recorded_ones():
    text = " ".join(README.split())
    clothes, photographs = record("vit_fashion_mnist"), record("vit_cifar10")
    assert f"whole of Fashion-MNIST: {clothes['test']['accuracy']:.1%} on its 10,000 test images." in text
    parameters, epochs = photographs["model"]["parameters"], photographs["config"]["epochs"]
    assert f"{parameters:,} parameters, trained on CIFAR-10 from random weights, without a GPU" in text
    assert f"{photographs['test']['accuracy']:.1%} on its 10,000 test images, after {epochs} epochs." in text
    assert photographs["environment"]["device"] == "cpu"


def test_the_figures_of_a_training_step_are_the_recorded_ones():
    step, augmentation = (record("benchmark_step")[f"{what}_seconds"] for what in ("step", "augmentation"))
    text = " ".join(README.split())
    assert f"takes {step['engine'] / step['timm in a plain loop']:.2f} of the time that timm's model takes" in text
    assert f"at once is {augmentation['one by one'] / augmentation['at once']:.1f} times as fast" in text


def test_the_speed_table_is_the_recorded_one():
    rows = record("benchmark_speed")["rows"]
    assert len(rows) == 8
    for row in rows:
        ratios = " | ".join(f"{row[f'ours/{library}']:.2f}" for library in ("torchvision", "timm", "vit-pytorch"))
        assert f"| {row['config']}, batch {row['batch']} | {row['work']} | {ratios} |" in README


def test_the_hardware_is_named():
    for name in ("benchmark_training", "benchmark_speed"):
        environment = record(name)["environment"]
        assert environment["hardware"] in README
        assert f"torch {environment['torch'].split('+')[0]}" in README
