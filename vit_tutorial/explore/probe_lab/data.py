"""What the probe lab shows, computed once: where each picture lies at each stage, and who its neighbours are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from vit_tutorial.explore.pictures import as_array, as_batch, as_names, as_picture
from vit_tutorial.inputs import whole_number

COLOURS = 8  # classes that are told apart on the map
MOST = 15  # neighbours that may vote
LARGEST = 2_000  # pictures: more are no longer told apart on the map


@dataclass(frozen=True)
class ProbeLabData:
    """S stages, n pictures of which the first m have labels, K classes, k neighbours that may vote."""

    stages: tuple[str, ...]
    pictures: UInt8[np.ndarray, "n C H W"]
    labels: Int[np.ndarray, " n"]
    labelled: int  # m: the others are asked
    class_names: tuple[str, ...]
    places: Float[np.ndarray, "S n 2"]  # on the map; the farthest from the middle at distance 1
    shares: tuple[float, ...]  # how much of the spread of the features each map holds
    near: Int[np.ndarray, "S n-m k"]  # of each picture that is asked: labelled ones, the nearest first

    @property
    def asked(self) -> int:
        """How many pictures are asked."""
        return len(self.pictures) - self.labelled


def probe_lab_data(
    features: Mapping[str, Float[np.ndarray, "n F"]], pictures, labels, labelled: int, class_names: Sequence[str]
) -> ProbeLabData:
    """Find the neighbours, and draw a map of each stage.

    `features` are by the name of the stage [n, F], where each stage may have its own F. The nearest is the one at the
    smallest angle. A map is the plane in which the features, brought to length 1, spread most (PCA), turned so that its
    points lie as near as possible to those of the stage before.
    Raises ValueError if features, pictures, labels and names do not fit together, or a number is not finite.
    """
    labels, names = as_array(labels, "labels"), tuple(as_names(class_names))
    shown = np.stack([as_picture(one, f"picture {i}") for i, one in enumerate(as_batch(pictures, "n"))])
    _check_counts(features, shown, labels, labelled, names)
    places, shares, near = [], [], []
    for stage, values in features.items():
        units = _units(stage, as_array(values, f"stage {stage!r}").astype(np.float64), len(shown))
        place, share = _plane(units, places[-1] if places else None)
        angles = units[labelled:] @ units[:labelled].T  # cosines [n-m, m]
        places.append(place)
        shares.append(share)
        near.append(np.argsort(-angles, axis=1, kind="stable")[:, :MOST])
    return ProbeLabData(
        stages=tuple(features),
        pictures=shown,
        labels=labels.astype(np.int64),
        labelled=labelled,
        class_names=names,
        places=np.stack(places),
        shares=tuple(shares),
        near=np.stack(near),
    )


def _check_counts(features: Mapping, pictures: np.ndarray, labels: np.ndarray, labelled: int, names: tuple) -> None:
    if not isinstance(features, Mapping) or not features:
        raise ValueError("features has no stage; give at least one, by its name: {'before': features [n, F]}")
    if labels.shape != (len(pictures),) or len(pictures) > LARGEST:
        raise ValueError(
            f"there are {len(pictures)} pictures, and labels of shape {list(labels.shape)}; give one label a picture, "
            f"for at most {LARGEST:,} pictures"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype}; give whole numbers, the classes")
    if not 1 <= whole_number("labelled", labelled) < len(pictures):
        raise ValueError(
            f"{labelled} of {len(pictures)} pictures are labelled; give at least one, and leave at least one to ask"
        )
    if not 2 <= len(names) <= COLOURS:
        raise ValueError(f"there are {len(names)} classes, and the map has colours for 2 to {COLOURS}")
    if labels.min() < 0 or labels.max() >= len(names):
        raise ValueError(
            f"the labels go from {labels.min()} to {labels.max()}, and the {len(names)} classes from 0 to "
            f"{len(names) - 1}"
        )


def _units(stage: str, values: Float[np.ndarray, "n F"], count: int) -> Float[np.ndarray, "n F"]:
    """The features as arrows of length 1. Raises ValueError if they have another shape, or no direction."""
    if values.ndim != 2 or len(values) != count or values.shape[1] < 2:
        raise ValueError(f"the features of stage {stage!r} are {list(values.shape)}; give [{count}, F], F 2 or more")
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and lengths.min() > 0):
        raise ValueError(f"stage {stage!r} has features that are not finite, or all zero; leave such pictures out")
    return values / lengths


def _plane(
    units: Float[np.ndarray, "n F"], before: Float[np.ndarray, "n 2"] | None
) -> tuple[Float[np.ndarray, "n 2"], float]:
    """The map of one stage, and the share of the spread that it holds."""
    centred = units - units.mean(axis=0)
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    place = left[:, :2] * spread[:2]
    if before is None:  # which end is up means nothing, but is always the same
        place *= np.where(place[np.abs(place).argmax(axis=0), [0, 1]] < 0, -1, 1)
    else:
        turn, _, back = np.linalg.svd(place.T @ before)
        place = place @ (turn @ back)
    total = float((spread**2).sum())
    share = float((spread[:2] ** 2).sum()) / total if total else 1.0
    return place / max(np.linalg.norm(place, axis=1).max(), 1e-12), share
