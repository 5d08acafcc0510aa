"""The README leads somewhere, and data/README.md quotes what was measured: each figure is that of a record."""

import json
import re
import subprocess
from functools import partial
from statistics import mean

import pytest
import torch
import torchvision
from warm import PYTHON

from vit_tutorial import ViT, ViTConfig, studies
from vit_tutorial.evidence import with_error
from vit_tutorial.support.paths import COURSE, RESULTS
from vit_tutorial.weights.torchvision_names import timm_to_torchvision

pytestmark = pytest.mark.slow

FIGURES = (COURSE / "data" / "README.md").read_text(encoding="utf-8")
README = (COURSE / "README.md").read_text(encoding="utf-8")
PAGES = ("README.md", "data/README.md", "ARCHITECTURE.md")


def record(name):
    return json.loads((RESULTS / f"{name}.json").read_text())


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)]+)\)", (COURSE / page).read_text(encoding="utf-8"))
    links = [link for link in links if "://" not in link]
    assert links or page != "README.md"
    assert [link for link in links if not ((COURSE / page).parent / link.split("#")[0]).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_path_in_the_text_exists(page):
    """Names of files and folders that a page speaks of, such as `vit_tutorial/vit.py`; not patterns with capitals."""
    text = (COURSE / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:vit_tutorial|tests|notebooks|data|site)/[a-z0-9_/.-]*)`", text))
    assert [path for path in sorted(named - {"data/downloads"}) if not (COURSE / path).exists()] == []


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 90


def test_the_code_of_the_readme_runs_and_counts_right():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(code, names)
    assert names["logits"].shape == (1, 1000)
    model = names["ViT"].from_name("ViT-B/16")
    assert f"{sum(weight.numel() for weight in model.parameters()):,} parameters" in code


def test_the_lines_that_lead_to_other_libraries_run(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r"`((?:theirs|torch)\.[^`]*\))`", README)
    to_timm, to_torchvision, compiled, onnx = lines
    model = ViT(ViTConfig(image_size=8, patch_size=4, dim=8, depth=2, num_heads=2, num_classes=3)).eval()
    shape = {"image_size": 8, "patch_size": 4, "num_layers": 2, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 32}
    names = {"model": model, "images": torch.randn(2, 3, 8, 8), "torch": torch}
    expected = model(names["images"])
    from_timm = timm.models.VisionTransformer(
        img_size=8, patch_size=4, embed_dim=8, depth=2, num_heads=2, num_classes=3, weight_init="skip"
    )
    from_torchvision = torchvision.models.VisionTransformer(**shape, num_classes=3)
    for line, theirs in ((to_timm, from_timm), (to_torchvision, from_torchvision)):
        eval(line, names | {"theirs": theirs.eval(), "timm_to_torchvision": timm_to_torchvision})
        torch.testing.assert_close(theirs(names["images"]), expected)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))  # without a compiler for C++
    torch.testing.assert_close(eval(compiled, names)(names["images"]), expected)
    eval(onnx, names)
    assert (tmp_path / "vit.onnx").stat().st_size > 0


TIME = re.compile(r"\*\*Time\*\*: (\d+) minutes(?:, \d+ more on a second reading)?(?:, and (\d+) for the exercises)?")


def test_the_minutes_are_those_that_the_lessons_give():
    sources = sorted((COURSE / "notebooks" / "source").glob("[0-9][0-9]_*.py"))
    texts = [re.sub(r"\s+#?\s*", " ", source.read_text(encoding="utf-8")) for source in sources]
    lessons, exercises = zip(*(TIME.search(text).groups() for text in texts), strict=True)
    span, of_exercises = [sorted(map(int, minutes)) for minutes in (lessons, exercises[1:])]
    told = f"A lesson takes {span[0]} to {span[-1]} minutes, and from lesson 1 on its exercises "
    assert f"{told}{of_exercises[0]} to {of_exercises[-1]}." in " ".join(README.split())


HELP = """
import runpy, sys

modules, answered = sys.argv[1:], []
for module in modules:  # each as python -m runs it
    sys.argv = [module, "--help"]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if not end.code:
            answered.append(module)
print("answered:", answered)
"""


def test_every_module_that_a_command_calls_answers():
    commands = {line for page in PAGES for line in (COURSE / page).read_text(encoding="utf-8").splitlines()}
    called = {match[1] for line in commands for match in re.finditer(r"python -m (vit_tutorial[\w.]*)", line)}
    assert {"vit_tutorial.train", "vit_tutorial.studies", "vit_tutorial.recipes"} <= called
    done = subprocess.run([PYTHON, "-c", HELP, *sorted(called)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == [f"answered: {sorted(called)}"], done.stderr


def test_the_training_figures_are_the_recorded_ones():
    seeds = record("benchmark_training")["seeds"]
    tests, seconds, memory = ([row[key] for row in seeds] for key in ("test", "seconds", "memory"))
    assert len(seeds) >= 3
    quoted = (
        f"{mean(tests):.1%} test accuracy (mean of {len(seeds)} seeds; {min(tests):.1%} to {max(tests):.1%}) in "
        f"{mean(seconds):.0f} s with {max(memory):.1f} GB of memory"
    )
    assert quoted in FIGURES
    assert min(tests) > 0.85
    assert max(seconds) < 100
    assert max(memory) < 1.5


def on_test(record, key="test"):
    """Write the accuracy of a record with its standard error."""
    return with_error(record[key]["accuracy"], record[key]["images"])


def test_the_figures_of_the_shipped_models_are_the_recorded_ones():
    text = " ".join(FIGURES.split())
    clothes, photographs = record("vit_fashion_mnist"), record("vit_cifar10")
    of_clothes, of_photographs, of_six = (
        one["data"]["training"] for one in (clothes, photographs, record("vit_clothes_six"))
    )
    assert f"trained on {of_clothes:,} pictures of Fashion-MNIST: {on_test(clothes)} on its 10,000 test images." in text
    assert f"trained on the CPU on {of_clothes:,} of the 60,000 training pictures of Fashion-MNIST" in text
    assert f"trained on the CPU on {of_photographs:,} of the 50,000 training photographs of CIFAR-10" in text
    assert f"trained on the CPU on {of_six:,} of the 6,000 training pictures of six kinds" in text
    parameters, epochs = photographs["model"]["parameters"], photographs["config"]["epochs"]
    assert f"{parameters:,} parameters, trained on CIFAR-10 from random weights, without a GPU" in text
    assert f"{on_test(photographs)} on its 10,000 test images, after {epochs} epochs." in text
    assert photographs["environment"]["device"] == "cpu"


def test_the_figures_of_a_gpu_are_the_recorded_ones():
    card, trained, text = record("benchmark_gpu"), record("vit_cifar10_gpu"), " ".join(FIGURES.split())
    torch_version = card["versions"]["torch"].split("+")[0]
    assert f"On one GPU ({card['card']}, torch {torch_version})" in text
    told = f"{on_test(trained)} on its 10,000 test images ({on_test(trained, 'mirrored_test')} if it is asked about"
    minutes, epochs = trained["total_seconds"] / 60, trained["config"]["epochs"]
    assert f"{trained['model']['parameters']:,} parameters, from random weights: {told} mirror images too)" in text
    assert f"after {epochs} epochs in {minutes:.1f} minutes, with an MFU of {trained['mfu']:.0%}; one run." in text
    words = f"trained in {minutes:.1f} minutes on one {card['card'].removeprefix('NVIDIA ')}, {on_test(trained)}"
    assert words in " ".join(README.split())
    assert f"Of {len(card['checks'])} checks {sum(check['passed'] for check in card['checks'])} passed" in text
    for row in card["speed"]:
        times = " | ".join(f"{row[key]:.1f} ms" for key in ("step_ms", "device_ms", "host_ms"))
        speed = f"{row['kernels']:,.0f} | {row['images_per_second']:,.0f} | {row['mfu']:.0%}"
        assert f"| {row['name']} | {times} | {speed} |" in FIGURES


def test_the_figures_of_a_training_step_are_the_recorded_ones():
    step, augmentation = (record("benchmark_step")[f"{what}_seconds"] for what in ("step", "augmentation"))
    text = " ".join(FIGURES.split())
    assert f"takes {step['engine'] / step['timm in a plain loop']:.2f} of the time that timm's model takes" in text
    assert f"at once is {augmentation['one by one'] / augmentation['at once']:.1f} times as fast" in text


def test_the_speed_table_is_the_recorded_one():
    rows = record("benchmark_speed")["rows"]
    assert len(rows) == 8
    for row in rows:
        ratios = " | ".join(f"{row[f'ours/{library}']:.2f}" for library in ("torchvision", "timm", "vit-pytorch"))
        assert f"| {row['config']}, batch {row['batch']} | {row['work']} | {ratios} |" in FIGURES


def test_the_time_of_all_studies_is_what_their_records_add_up_to():
    seconds = sum(json.loads(path.read_text())["seconds"] for path in RESULTS.glob("study_*.json"))
    words = f"about {seconds / 3600:.0f} hours"
    assert words in FIGURES
    assert words in studies.__doc__


def test_the_hardware_is_named():
    for name in ("benchmark_training", "benchmark_speed"):
        environment = record(name)["environment"]
        assert environment["hardware"] in FIGURES
        assert f"torch {environment['torch'].split('+')[0]}" in FIGURES


@pytest.mark.parametrize("page", ["README.md", "notebooks/source/00_start_here.py"])
def test_what_the_checks_say_is_what_was_measured(page):
    measured = record("benchmark_checks")["corpus"]["all"]
    text = re.sub(r"\s+#?\s*", " ", (COURSE / page).read_text(encoding="utf-8"))
    tried, named = re.search(r"of ([\d,]+) wrong answers .*?(\d+) in 100", text).groups()
    assert int(tried.replace(",", "")) == measured["wrong"]
    assert int(named) == int(100 * measured["share_named"])
    assert measured["passed"] == 0
