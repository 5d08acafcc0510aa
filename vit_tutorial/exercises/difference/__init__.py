"""Words for the difference between what came out and what is expected: the simplest sentence that is true.

`explain(cases)` looks at all inputs of an exercise at once. A sentence is said only if it is true of every input on
which the answer is wrong. What is looked at in turn has a room of its own: `steps` (a step is missing), `kinds`
(no numbers at all), `shapes`, `values` (a factor, a sign), `counts` (formulas), `orders`, `places`. Beside them,
`questions` tries the right answer on changed inputs, `behaviour` asks the answer again, `parts` compares which layers
were called with what, and `errors` has words for exceptions.
"""

from vit_tutorial.exercises.difference.behaviour import behaviour
from vit_tutorial.exercises.difference.case import Case, Said
from vit_tutorial.exercises.difference.errors import meaning, meaning_in, shapes_nearby
from vit_tutorial.exercises.difference.explain import explain, partly_right
from vit_tutorial.exercises.difference.hints import NO_HINTS, Hints, Moved
from vit_tutorial.exercises.difference.parts import Call, Trace, compare_parts
from vit_tutorial.exercises.difference.places import where_wrong
from vit_tutorial.exercises.difference.quantities import sizes_of

__all__ = [
    "NO_HINTS",
    "Call",
    "Case",
    "Hints",
    "Moved",
    "Said",
    "Trace",
    "behaviour",
    "compare_parts",
    "explain",
    "meaning",
    "meaning_in",
    "partly_right",
    "shapes_nearby",
    "sizes_of",
    "where_wrong",
]
