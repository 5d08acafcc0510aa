"""What proofs leave in data/results: figures of the card, a line for every training, and the record of a whole one.

benchmark_gpu.json      the card, how close each check came to what it may be, the speeds
cifar10_tries.jsonl     every training that was begun on a card, a line each, those that were stopped too
vit_cifar10_gpu.json    the first training that came to its end: its curves, and its test with half the bytes
"""

import json
from pathlib import Path

import torch
from gpu.common import PRESET
from gpu.journal import read
from gpu.weights import join

from vit_tutorial import load_model
from vit_tutorial.datasets import Dataset
from vit_tutorial.support.files import write_file, write_json
from vit_tutorial.training import History
from vit_tutorial.training.record import make_record

BENCHMARK, TRIES, RECORD = "benchmark_gpu.json", "cifar10_tries.jsonl", "vit_cifar10_gpu.json"
COMMAND = f"python -m vit_tutorial.train --recipe {PRESET} --compile --out runs/vit_cifar10_gpu"


def record(folders: list[Path], data: Dataset, results: Path) -> list[Path]:
    """Write what the proofs in these folders found, and return the files; what earlier proofs left is kept.

    A proof without one of the steps that figures are quoted from leaves those that are there, and says so.

    Raises FileNotFoundError if a folder holds no proof.
    """
    written = []
    for folder in folders:
        proof = read(folder / "proof.json")
        if not proof:
            raise FileNotFoundError(f"{folder} holds no proof.json")
        if lacking := lacks(proof):
            print(f"{folder}: its figures are not recorded, since {lacking}")
        else:
            write_json(results / BENCHMARK, figures(proof))
            written.append(results / BENCHMARK)
        for run in trainings(proof):
            revision = proof["revision"] or run["history"]["environment"].get("git_revision")
            written.append(add_try(results / TRIES, run, revision))
            if run["ended"] == "done" and run["pieces"] and not (results / RECORD).exists():
                write_json(results / RECORD, whole(run, folder, data, revision, results))
                written.append(results / RECORD)
    return list(dict.fromkeys(written))


def lacks(proof: dict) -> str:
    """Say which steps have not found what is quoted of them; nothing if all have."""
    quoted = {"card": "matrix_rate", "checks": "checks", "speed": "variants"}
    missing = [step for step, key in quoted.items() if key not in proof.get(step, {})]
    return ", ".join(f"the step {step} {proof.get(step, {}).get('ended', 'was not run')}" for step in missing)


def figures(proof: dict) -> dict:
    """Keep of a proof, which lacks nothing, what can be quoted."""
    checks = [
        {
            "name": check["name"],
            "passed": check["passed"],
            "figures": len(check.get("numbers", {})),
            "closest": max((found / most for found, most in check.get("numbers", {}).values() if most), default=0.0),
        }
        for check in proof["checks"]["checks"]
    ]
    speeds = [{key: value for key, value in row.items() if key != "longest"} for row in proof["speed"]["variants"]]
    card = {key: value for key, value in proof["card"].items() if key not in ("ended", "seconds")}
    speed = {key: proof["speed"][key] for key in ("batch", "flops_per_image", "matrix_rate")}
    return {"preset": PRESET, "revision": proof["revision"], **card, "checks": checks, **speed, "speed": speeds}


def trainings(proof: dict) -> list[dict]:
    """Give all trainings of a proof in one form: name, how it ended, its history, and the pieces of its weights."""
    found = []
    if history := proof.get("lesson", {}).get("history"):
        whole = len(history["train_loss"]) == history["config"]["epochs"]
        pieces = "lesson" if proof["lesson"].get("weights") else None
        ended = "done" if whole else "stopped by the clock"
        found.append({"name": "lesson 11", "ended": ended, "history": history, "pieces": pieces})
    for run in proof.get("train", {}).get("runs", []):
        if history := run.get("history"):
            pieces = f"seed_{history['config']['seed']}" if run.get("weights") else None
            found.append({"name": run["name"], "ended": run["ended"], "history": history, "pieces": pieces})
    return found


def add_try(path: Path, run: dict, revision: str | None) -> Path:
    """Add the line of a training, unless it stands there."""
    history = History(**run["history"])
    config, validation = history.config, history.validation_accuracy
    line = json.dumps(
        {
            "name": run["name"],
            "ended": run["ended"],
            "card": history.environment["hardware"],
            "preset": PRESET,
            "revision": revision,
            "seed": config["seed"],
            "epochs": config["epochs"],
            "epochs_done": history.epochs,
            "compiled": config["compile"],
            "seconds": round(sum(history.seconds), 1),
            "images_per_second": round(history.images_per_second),
            "validation": validation[-1] if validation else None,
            "training": history.data["training"],
        }
    )
    before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if line not in before:
        write_file(path, "\n".join([*before, line, ""]).encode())
    return path


def whole(run: dict, folder: Path, data: Dataset, revision: str | None, results: Path) -> dict:
    """Make the record of a training that came to its end; its weights, in half the bytes, are tested here and now."""
    history = History(**run["history"])
    history.environment |= {"git_revision": revision}
    model = load_model(join(folder, run["pieces"]))
    rate = json.loads((results / BENCHMARK).read_text(encoding="utf-8"))["matrix_rate"]
    names = {"name": Path(RECORD).stem, "command": COMMAND}
    return make_record(model, data, history, torch.device("cpu"), **names, rate=rate) | {"trained_in": run["name"]}
