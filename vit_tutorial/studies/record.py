"""The record of a study: what was asked, what each run came to, and whether it still belongs to the table."""

import json
import os
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path

from vit_tutorial.evidence import Rate, Scores, best_rate
from vit_tutorial.studies.experiments import EXPERIMENTS, Experiment, Search, StudyError
from vit_tutorial.studies.variants import Recipe, sizes
from vit_tutorial.support.differences import differences
from vit_tutorial.support.paths import RESULTS
from vit_tutorial.training import TrainingConfig


@dataclass(frozen=True)
class Study:
    """A study as it was run: what was asked, what was compared, and what each training came to."""

    name: str
    claim: str
    command: str  # makes the record again
    settings: dict  # common to all variants: task, training_images, positions, model, training (epochs, batch_size …)
    seeds: list[int]
    data: dict  # name, number of training, validation and test images, checksum; empty if the runs do not say
    environment: dict  # hardware, versions
    seconds: float  # of all runs together, one after the other
    variants: dict[str, dict]  # of each: settings of its own; of a recipe also tokens, flops (one image), parameters
    runs: list[dict]  # of each run: variant, seed, seconds; of a training accuracies 0..1, curve (one number an epoch)
    paper: dict | None = None  # figures of others, with their source
    search: dict | None = None  # rates, seeds, by, setting, and runs: variant, learning_rate, seed and what chose

    def values(self, key: str) -> dict[str, list]:
        """Give one entry of the runs, such as "seconds", by variant and in the order of the seeds."""
        return {name: [run[key] for run in self.runs if run["variant"] == name] for name in self.variants}

    def accuracies(self) -> dict[str, list[float]]:
        """Give the test accuracies, 0..1, by variant and in the order of the seeds."""
        return self.values("test_accuracy")

    def validation_accuracies(self) -> dict[str, list[float]]:
        """Give the validation accuracies, 0..1, by variant: by these a learning rate is chosen, not by the test's."""
        return self.values("validation_accuracy")

    def scores(self, kind: str, key: str = "test_accuracy") -> Scores:
        """Give an entry of the runs, seed by seed, of a kind at the learning rate chosen for it by validation.

        A kind is a variant that searched its rate; or all variants named "KIND, RATE", of which the best is taken; or a
        variant with one rate, which was not chosen. Raises ValueError if there is no such kind.
        """
        chosen, rate = self.chosen(kind)
        by_seed = {run["seed"]: run[key] for run in self.runs if run["variant"] == chosen}
        return Scores(kind, by_seed, rate, "points" if key.endswith("accuracy") else "")

    def chosen(self, kind: str) -> tuple[str, Rate | None]:
        """Give the variant that stands for a kind, and its learning rate with all that were tried, if it has one."""
        if kind in self.variants:
            rate = self.training(kind).get("learning_rate")
            if not self.search:
                return kind, rate and Rate(rate, (rate,))
            tried = self.tried(kind)
            return kind, best_rate(tried) if tried else None
        rates = {
            self.training(name)["learning_rate"]: name
            for name in self.variants
            if name == f"{kind}, {self.training(name).get('learning_rate', 0):g}"
        }
        if not rates:
            raise ValueError(f"{kind!r} is no variant of the study {self.name}; they are {', '.join(self.variants)}")
        validation = self.validation_accuracies()
        best = best_rate({rate: validation[name] for rate, name in rates.items()})
        return rates[best.value], best

    def tried(self, variant: str) -> dict[float, list[float]]:
        """Give the scores by which a variant chose its learning rate: by rate, in the order of the search's seeds.

        It is empty if nothing was searched for it.
        """
        rates = Search(**_without_runs(self.search)).rates_of(variant) if self.search else ()
        runs = [run for run in self.search["runs"] if run["variant"] == variant] if rates else []
        return {rate: [run[self.search["by"]] for run in runs if run["learning_rate"] == rate] for rate in rates}

    def seconds_per_image(self) -> dict[str, float]:
        """Give the processor seconds of training for one image, by variant: the fastest of its runs."""
        return {
            name: min(seconds) / (self.training(name)["epochs"] * self.data["training"])
            for name, seconds in self.values("processor_seconds").items()
        }

    def training(self, variant: str) -> dict:
        """Give the training settings of a variant: those that all share, and its own."""
        return self.settings.get("training", {}) | self.variants[variant]["settings"].get("training", {})


def load_study(name: str, records: str | os.PathLike = RESULTS) -> Study:
    """Read the record of a study, data/results/study_NAME.json.

    Raises ValueError for a name that is not known, and StudyError if there is no record or one of other settings.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"{name!r} is no study; the studies are {', '.join(EXPERIMENTS)}")
    path, again = Path(records) / f"study_{name}.json", f"make it with `python -m vit_tutorial.studies {name}`"
    if not path.exists():
        raise StudyError(f"{path} is not there; {again}")
    study, experiment = Study(**json.loads(path.read_text(encoding="utf-8"))), EXPERIMENTS[name]
    own = {key: row["settings"] for key, row in study.variants.items()}
    shared_now, own_now = _settings(experiment)
    shared = with_younger_settings(study.settings, shared_now, *own.values())
    changes = differences(
        {"settings": shared, "variants": own, "search": _without_runs(study.search)},
        {"settings": shared_now, "variants": own_now, "search": _search(experiment)},
    )
    if changes:
        raise StudyError(f"{path} was made with other settings ({changes}); {again}")
    return study


def make_study(
    name: str, experiment: Experiment, runs: list[dict], command: str, searched: list[dict] | None = None
) -> Study:
    """Gather what somebody needs to believe, and to repeat, a study; `searched` are the runs of its search."""
    settings, own = _settings(experiment)
    search = _search(experiment)
    if search:
        keys = ("variant", "learning_rate", "seed", experiment.search.by)
        search["runs"] = [{key: run[key] for key in keys} for run in searched]
    return Study(
        name=name,
        claim=experiment.claim,
        command=command,
        settings=settings,
        seeds=sorted({run["seed"] for run in runs}),
        data=runs[0].get("data", {}),
        environment=runs[0]["environment"],
        seconds=round(sum(run["seconds"] for run in [*runs, *(searched or [])]), 1),
        variants={
            key: {"settings": own[key]} | (sizes(variant) if isinstance(variant, Recipe) else {})
            for key, variant in experiment.variants.items()
        },
        runs=[{key: value for key, value in run.items() if key not in ("data", "environment")} for run in runs],
        paper=experiment.paper,
        search=search,
    )


# --- Settings, then and now ------------------------------------------------------------------------------------------


def with_younger_settings(then: dict, now: dict, *own: dict) -> dict:
    """Add what is set now and was unknown then: what was made without a setting was made with its default.

    `then` and `now` are settings of a study or of one of its trainings, `own` what variants had on their own then.
    """

    def missing(config: type, known: list[dict], wanted: dict) -> dict:
        names = set(wanted).difference(*known)
        return {f.name: f.default for f in fields(config) if f.default is not MISSING and f.name in names}

    training = missing(TrainingConfig, [one.get("training", {}) for one in (then, *own)], now.get("training", {}))
    whole = missing(Recipe, [then, *own], now) | then
    return whole | {"training": then["training"] | training} if "training" in then else whole


def _search(experiment: Experiment) -> dict | None:
    return asdict(experiment.search) if experiment.search else None


def _without_runs(search: dict | None) -> dict | None:
    return search and {key: value for key, value in search.items() if key != "runs"}


def _settings(experiment: Experiment) -> tuple[dict, dict[str, dict]]:
    """Split the settings into what all variants share, and what is a variant's own."""
    settings = {name: experiment.settings(name) for name in experiment.variants}
    shared = _shared(list(settings.values()))
    return shared, {name: _without(its_settings, shared) for name, its_settings in settings.items()}


def _shared(rows: list[dict]) -> dict:
    first, result = rows[0], {}
    for key, value in first.items():
        values = [row.get(key) for row in rows]
        if all(isinstance(one, dict) for one in values):
            result[key] = _shared(values)
        elif all(key in row and row[key] == value for row in rows):
            result[key] = value
    return result


def _without(row: dict, shared: dict) -> dict:
    result = {}
    for key, value in row.items():
        if isinstance(value, dict):
            rest = _without(value, shared.get(key, {}))
            result |= {key: rest} if rest else {}
        elif key not in shared:
            result[key] = value
    return result
