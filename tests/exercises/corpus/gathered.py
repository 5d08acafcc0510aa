"""All of the corpus, by the name of the exercise."""

from exercises.corpus import Slips, attention, early, looking, models, tuning, versus

CORPUS: dict[str, Slips] = {
    **early.SLIPS,
    **attention.SLIPS,
    **models.SLIPS,
    **looking.SLIPS,
    **versus.SLIPS,
    **tuning.SLIPS,
}
