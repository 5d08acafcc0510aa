"""How two sets of settings differ, in words for a message."""

import json


def differences(then: dict, now: dict) -> str:
    """Say in words how two nested dictionaries differ, as JSON holds them; nothing if they do not."""
    return _differences(json.loads(json.dumps(then)), json.loads(json.dumps(now)))


def _differences(then: dict, now: dict, prefix: str = "") -> str:
    words = []
    for key in [*then, *(key for key in now if key not in then)]:
        one, other = then.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            words.append(_differences(one, other, f"{prefix}{key}."))
        elif one != other:
            words.append(f"{prefix}{key} was {one} and is {other}")
    return ", ".join(filter(None, words))
