"""All of the corpus, by the name of the exercise."""

from exercises.corpus import Slips, attention, early, looking, models, tuning

CORPUS: dict[str, Slips] = {
    **early.SLIPS,
    **attention.SLIPS,
    **models.SLIPS,
    **looking.SLIPS,
    **tuning.SLIPS,
}
