"""Names by patterns."""

import re
from collections.abc import Callable


def rename(key: str, patterns: list[tuple[str, str | Callable[[re.Match], str]]]) -> str:
    for pattern, name in patterns:
        key = re.sub(pattern, name, key)
    return key
