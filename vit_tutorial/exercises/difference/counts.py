"""Numbers that are worked out from sizes: by which formula is each of them wrong?"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from vit_tutorial.exercises.difference.case import ORDINALS, Case, alike, joined
from vit_tutorial.exercises.difference.places import where_wrong


def several_numbers(cases: Sequence[Case], explain_one: Callable[[Sequence[Case]], str]) -> str:
    """Return a sentence on answers that are several numbers each: how many, in which order, and which are wrong how."""
    wanted = {len(case.expected) for case in cases}
    if len(wanted) > 1:
        return ""
    count = wanted.pop()
    if count > len(ORDINALS):
        return ""
    lengths = {len(case.got) for case in cases}
    if len(lengths) > 1:
        return ""
    have = lengths.pop()
    if have != count:
        return f"you returned {have} thing{'s' * (have != 1)}, and {count} are expected."
    if all(case.a is not None and case.b is not None and case.a.ndim == case.b.ndim == 1 for case in cases):
        for i in range(count):
            for j in range(i + 1, count):
                order = [*range(count)]
                order[i], order[j] = j, i
                if all(_each_alike(case.a, case.b[order]) for case in cases):
                    return f"your {ORDINALS[i]} and {ORDINALS[j]} number have changed places."
        if all(_each_alike(case.a.sort().values, case.b.sort().values) for case in cases):
            return "your numbers are right, and stand in another order."
    sentences, right = [], []
    for i in range(count):
        each = [replace(case, got=case.got[i], expected=case.expected[i], axes=()) for case in cases]
        wrong, right_ones = [case for case in each if not case.is_right], [case for case in each if case.is_right]
        if not wrong:
            right.append(ORDINALS[i])
            continue
        said = explain_one(each)
        if not said:
            where = f" {where_wrong(wrong, right_ones) or 'on some of the inputs'}" if right_ones else ""
            sentences.append(f"your {ORDINALS[i]} number is wrong{where}")
        else:
            sentences.append(f"your {ORDINALS[i]} number: {said.removesuffix('.')}")
    if len(right) == 0 and all("number is wrong" in sentence for sentence in sentences):
        return ""
    told = "; ".join(sentences)
    if right:
        told += f". Your {joined(right)} {'is' if len(right) == 1 else 'are'} right"
    return f"{told}.".replace("?.", "?")


def _each_alike(a: Tensor, b: Tensor) -> bool:
    """Say whether the numbers are the same one by one: beside millions, 8 and 8.9 are not."""
    return all(alike(x, y) for x, y in zip(a, b, strict=True))
