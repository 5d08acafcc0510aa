"""Everything that the course says of GPUs, tried on one in a single command that ends in time.

    python tests/benchmarks/gpu_proof.py --out FOLDER --minutes 9 --data-root FOLDER
    python tests/benchmarks/gpu_proof.py --out FOLDER --rehearse

Steps, in the order in which they run:

    card       versions, the card, how fast it multiplies and copies
    checks     the model, the augmentation and the training on the card, compared with float64, the CPU, or themselves
    speed      images/s and MFU of the large preset: eager and compiled, AdamW and Muon, with and without augmentation
    train      as many epochs as let all seeds fit the time that is left; each seed reads the test images once
    ablation   what augmentation, Muon and mean pooling are worth in short trainings, if time is left
    lesson     lesson 11, executed from top to bottom (only if it is named in --steps)
    ways       attention with each kernel, and other ways to compute the step (only if it is named in --steps)

`--rehearse` goes the same way on a CPU with a tiny model and made-up pictures, in about two minutes.

Each step is a process of its own. One that fails is written down with its traceback, and the next one goes on. What a
step has found is on disk, in FOLDER/proof.json, at most a second later, whatever happens then. The trained weights are
beside it, in half precision, in pieces below 16 MB; `--join FOLDER --name seed_0` makes one file of the pieces.
`--record FOLDER ...` writes what these folders hold into data/results; CIFAR-10 must be on the disk.

On a rented machine, where time is dear and there may be no network:

1. It needs Python 3.11 or newer, torch 2.11 or newer, torchvision, einops, jaxtyping, safetensors, tqdm and this
   checkout; nothing is installed. Where git does not travel with it, --revision names the commit.
2. CIFAR-10 has to lie there, unpacked, outside the checkout; --data-root names its folder. Copy and unpack it before
   the clock of --minutes starts.
3. Use the time in this order: one run with all steps; then, with what is left, one with what fell out, named in
   --steps, with --minutes one less than are left. The lesson holds one whole training, and its weights and curves come
   back too: if it matters more than the other seeds, name it before `train`. Where the first run's FOLDER is gone,
   --earlier names its proof.json: a training is planned from the speeds in there. A plan never has more epochs than
   fit, whatever --epochs says: a training that is cut off has no weights that are worth anything.
4. The lesson also needs matplotlib, scikit-image and the wheels of anywidget and ipywidgets, and runs as a plain script
   then; with those of nbclient and ipykernel too it runs as a notebook, with its figures. They and what they need must
   be on PYTHONPATH.
"""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gpu.journal import Journal, OutOfTime, read, run_and_write_down

ROOT = Path(__file__).parents[2]
USUAL = ("card", "checks", "speed", "train", "ablation")
STEPS = (*USUAL, "lesson", "ways")
MOST_SECONDS = {"card": 40, "checks": 80, "speed": 130}  # the others may take all that is left
GRACE = 4.0  # seconds that a step gets to write down what it has


def main(arguments: list[str] | None = None) -> int:
    """Run the steps; return 0 if all came to their end or were stopped by the clock, and no cell failed, else 1."""
    options = parse(arguments)
    if options.join is not None:
        from gpu.weights import join

        print(join(options.join, options.name))
        return 0
    if options.record:
        from gpu.record import record

        from vit_tutorial.datasets import load
        from vit_tutorial.support.paths import RESULTS

        print(*record(options.record, load("cifar10", options.data_root, download=False), RESULTS), sep="\n")
        return 0
    if options.step is not None:
        return run_step(options.step, json.loads(options.settings.read_text(encoding="utf-8")))
    ends = time.time() + 60 * options.minutes
    options.out.mkdir(parents=True, exist_ok=True)
    earlier = read(options.earlier) if options.earlier else {}
    proof = earlier | read(options.out / "proof.json") | {"rehearsed": options.rehearse}
    proof["revision"] = options.revision or proof.get("revision") or revision_of_the_clone()
    signal.signal(signal.SIGTERM, stop)
    try:
        with tempfile.TemporaryDirectory() as workshop:
            for step in options.steps:
                proof = follow(step, options, proof, Path(workshop), ends)
    except (OutOfTime, KeyboardInterrupt):
        print("stopped; what was found so far is written down", flush=True)
    print(table(proof), flush=True)
    found = [proof.get(step, {}) for step in options.steps]
    return int(any(one.get("ended") == "failed" or one.get("errors") for one in found))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where everything is written")
    parser.add_argument("--minutes", type=float, default=9.0, help="after which it has stopped (default: 9)")
    parser.add_argument("--data-root", metavar="FOLDER", help="the folder that holds cifar-10-batches-py")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=USUAL, help="in this order")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the trainings (default: 0 1 2)")
    parser.add_argument("--epochs", type=int, metavar="N", help="of each training, at most; fewer if they do not fit")
    parser.add_argument("--device", default="auto", help="cuda or cpu (default: cuda if there is one)")
    parser.add_argument("--rehearse", action="store_true", help="a tiny model and made-up pictures, on the CPU")
    parser.add_argument("--revision", default="", help="the commit, where the checkout has travelled without it")
    parser.add_argument("--earlier", type=Path, metavar="FILE", help="a proof.json whose results to go on from")
    parser.add_argument("--join", type=Path, metavar="FOLDER", help="make one file of the pieces of weights in there")
    parser.add_argument("--name", default="seed_0", help="of the pieces that --join takes (default: seed_0)")
    parser.add_argument("--record", type=Path, nargs="+", metavar="FOLDER", help="write what they hold to data/results")
    parser.add_argument("--notebook", metavar="FILE", help="another one than lesson 11, for the step lesson")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)  # a process of its own runs one step
    parser.add_argument("--settings", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not (options.out or options.join or options.record or options.step):
        parser.error("--out names the folder where everything is written")
    if options.earlier and not options.earlier.is_file():
        parser.error(f"--earlier {options.earlier}: there is no proof.json")
    return options


def revision_of_the_clone() -> str:
    """Give the commit that this file lies in; nothing where the checkout has travelled without it, or without git."""
    try:
        command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def stop(*_) -> None:
    """End what is being done: what was found so far is written down on the way out."""
    raise OutOfTime


# --- One step, in a process of its own -------------------------------------------------------------------------------


def follow(step: str, options: argparse.Namespace, proof: dict, workshop: Path, ends: float) -> dict:
    """Run a step in a process of its own, and copy what it writes down into the proof until it has ended."""
    left = ends - time.time() - GRACE
    until = min(ends - GRACE, time.time() + (left if options.rehearse else MOST_SECONDS.get(step, left)))
    own, errors, settings = (workshop / f"{step}.{kind}" for kind in ("json", "errors", "settings"))
    if left < 5:
        return write(options, proof | {step: {"ended": "not begun: no time was left"}})
    settings.write_text(
        json.dumps(
            {
                "journal": str(own),
                "out": str(options.out.resolve()),
                "until": until,
                "data_root": options.data_root,
                "seeds": options.seeds,
                "epochs": options.epochs,
                "device": "cpu" if options.rehearse else options.device,
                "rehearse": options.rehearse,
                "notebook": options.notebook,
                "found": proof,
            }
        ),
        encoding="utf-8",
    )
    print(f"{step}: up to {until - time.time():.0f} s", flush=True)
    with open(errors, "w", encoding="utf-8") as error_file:
        command = [sys.executable, __file__, "--step", step, "--settings", str(settings)]
        process = subprocess.Popen(command, stderr=error_file, env=environment(step), start_new_session=True)
        try:
            while process.poll() is None and time.time() < until + GRACE / 2:
                time.sleep(0.2)
                if (found := read(own)) != proof.get(step):
                    proof = write(options, proof | {step: found})
        finally:
            end(process)
            found = read(own)
            if "ended" not in found:
                tail = errors.read_text(encoding="utf-8", errors="replace")[-2000:]
                by = "the clock" if time.time() >= until else f"itself, with status {process.returncode}"
                found |= {"ended": "stopped" if by == "the clock" else "failed", "ended_by": by, "error_output": tail}
            proof = write(options, proof | {step: found})
    print(f"{step}: {found['ended']}", flush=True)
    return proof


def environment(step: str) -> dict[str, str]:
    """Give a step the environment it needs, with this checkout's package before any other.

    The checks ask cuBLAS for the same sum each time.
    """
    more = {
        "checks": {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"},
        "ways": {"TORCHINDUCTOR_AUTOGRAD_CACHE": "0"},  # which takes programs that differ in their kernel for the same
    }.get(step, {})
    unwatched = {"VIT_TUTORIAL_PROGRESS": "", "VIT_TUTORIAL_UNWATCHED": "1"}
    places = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    always = {"PYTHONPATH": places, "PYTHONUNBUFFERED": "1", "NCCL_SOCKET_IFNAME": "lo"}
    return os.environ | always | unwatched | more


def end(process: subprocess.Popen) -> None:
    """Ask a process and those it started to end, and end them if they do not."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE / 2)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run_step(step: str, settings: dict) -> int:
    """Do the work of one step; it writes its own journal."""
    signal.signal(signal.SIGTERM, stop)
    journal = Journal(Path(settings["journal"]), settings["until"])
    return run_and_write_down(step, settings, journal)


def write(options: argparse.Namespace, proof: dict) -> dict:
    """Write the proof, all or nothing, and return it."""
    Journal(options.out / "proof.json", 0.0, proof).save()
    return proof


# --- The table at the end --------------------------------------------------------------------------------------------


def table(proof: dict) -> str:
    """Say the most important things in few lines."""
    lines = ["", "--- gpu_proof ---"]
    card = proof.get("card", {})
    if "card" in card:
        rate = f", {card['matrix_rate'] / 1e12:,.3g} TFLOP/s in {card['format']}" if "matrix_rate" in card else ""
        lines.append(f"{card['card']}, torch {card['versions']['torch']}{rate}")
    checks = proof.get("checks", {}).get("checks", [])
    passed = [check for check in checks if check["passed"]]
    lines += [
        f"FAILED {check['name']}: {check.get('words') or check['failed']}" for check in checks if check not in passed
    ]
    if checks:
        lines.append(f"checks: {len(passed)} of {len(checks)} passed")
    for row in proof.get("speed", {}).get("variants", []):
        if "error" in row:
            lines.append(f"{row['name']:<34} {row['error']}")
            continue
        busy = f", busy {row['device_ms']:.1f} ms" if row.get("device_ms") else ""
        lines.append(
            f"{row['name']:<34}{row['images_per_second']:>9,.0f} images/s, MFU {row['mfu']:.0%}, "
            f"step {row['step_ms']:.1f} ms, host {row['host_ms']:.1f} ms{busy}"
        )
    for key, what in (("attention", "one attention layer"), ("ways", "step")):
        rows = proof.get("ways", {}).get(key, [])
        for row in rows:
            busy = f", busy {row['device_ms']:.2f} ms" if row.get("device_ms") else ""
            loss = f"; loss {row['loss']:.3f}" if "loss" in row else ""
            said = row.get("error") or (
                f"{what} {row['step_ms']:.2f} ms, {row['step_ms'] / rows[0].get('step_ms', math.nan):.3f} times that "
                f"of {rows[0]['name']!r}{busy}{loss}"
            )
            lines.append(f"{row['name']:<34}{said}")
    for step in ("train", "ablation"):
        for run in proof.get(step, {}).get("runs", []):
            line = f"{run['name']:<34}{run['epochs_done']} of {run['epochs']} epochs, {run['seconds']:.0f} s"
            if run.get("validation"):
                line += f", validation {run['validation']:.2%}"
            if "test" in run:
                line += f", test {run['test']:.2%}, mirrored {run['mirrored_test']:.2%}"
            lines.append(line + ("" if run["ended"] == "done" else f" ({run['ended']})"))
    if "mean_test" in proof.get("train", {}):
        lines.append(f"mean of the seeds: test {proof['train']['mean_test']:.2%}")
    if "lesson" in proof:
        lesson = proof["lesson"]
        failed = f", {len(lesson['errors'])} of them failed" if lesson.get("errors") else ""
        lines.append(f"lesson 11: {lesson.get('cells_done', 0)} of {lesson.get('cells', '?')} cells{failed}")
    for step in STEPS:
        if step in proof:
            taken = f" in {proof[step]['seconds']:.0f} s" if "seconds" in proof[step] else ""
            lines.append(f"{step:<10}{proof[step]['ended']}{taken}")
            if proof[step]["ended"] == "failed":
                lines += (proof[step].get("traceback") or proof[step].get("error_output", "")).strip().splitlines()[-3:]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
