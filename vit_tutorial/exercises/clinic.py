"""Questions about several patients: which fault has each of them, if any?"""

from collections.abc import Callable, Mapping

from vit_tutorial.exercises.engine import Exercise, Mistake

NO_WORD, UNKNOWN = "nothing", "no word of the list"


def make_clinic(name: str, lesson: str, faults: Mapping[str, str], signs: Mapping[str, str], done: str) -> Exercise:
    """Make the exercise that asks for `{"A": "word", ...}`, given all letters in one string.

    `faults` is the right answer, by letter; `signs` has the sentence for whoever is wrong about a letter.
    """
    words = ", ".join(map(repr, sorted(faults.values())))

    def says(letter: str, word: str) -> Callable:
        return lambda patients: {**faults, letter: word}

    return Exercise(
        name=name,
        lesson=lesson,
        difficulty=3,
        minutes=15,
        solution=lambda patients: dict(faults),
        adapt=lambda diagnose: _first_wrong(diagnose, faults),
        inputs=[("".join(faults),)],
        secret=True,
        mistakes=[
            Mistake(lambda patients: list(faults.values()), 'Return a dict: {"A": "…", "B": "…", …}.'),
            *(
                Mistake([says(letter, word) for word in faults.values() if word != faults[letter]], sign)
                for letter, sign in signs.items()
            ),
            *(
                Mistake(says(letter, "?"), f"the word for patient {letter} is not one of these: {words}.")
                for letter in faults
            ),
            *(
                Mistake(
                    lambda patients, letter=letter: {key: word for key, word in faults.items() if key != letter},
                    f'there is no word for patient {letter}. The letters stand in front: {{"{letter}": "…"}}.',
                )
                for letter in faults
            ),
        ],
        done=done,
    )


def _first_wrong(diagnose: Callable, faults: Mapping[str, str]) -> Callable:
    """Turn an answer into a function that tells who has no word, one of no list, or a wrong one: the first of them."""

    def run(patients: str) -> str | None:
        said = diagnose(patients)
        if said is None or said is ...:
            return said
        if not isinstance(said, dict):
            return "no dict"
        words = {letter: _word_for(letter, said, faults) for letter in patients}
        wrong = [letter for letter in patients if words[letter] != faults[letter]]
        wrong.sort(key=lambda letter: (words[letter] != NO_WORD, words[letter] != UNKNOWN))
        return f"{wrong[0]}: {words[wrong[0]]}" if wrong else "all as they are"

    return run


def _word_for(letter: str, said: Mapping, faults: Mapping[str, str]) -> str:
    try:
        word = said[letter]
    except KeyError:
        return NO_WORD
    return word if word in faults.values() else UNKNOWN
