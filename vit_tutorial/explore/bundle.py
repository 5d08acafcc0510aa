"""The ES modules of a view as the one module that a widget hands to the browser."""

from __future__ import annotations

import re
from pathlib import Path

IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]*\.js)";\n', re.MULTILINE)
DECLARATION = re.compile(r"^(export )?(?:async )?(?:function\*?|const|let|class) (\w+)", re.MULTILINE)
FOREIGN = re.compile(r"^(?:import\b|export\b(?! default )|var |(?:const|let) [{\[]).*", re.MULTILINE)


def bundle(entry: Path) -> str:
    """The module `entry` with all that it imports in front of it, each file once; `export default` stays the entry's.

    It reads what the views are written in, each at the beginning of a line: `import { a, b } from "./file.js";`, and
    `export` before a declaration. The rest is refused.
    Raises ValueError, naming the file, for any other import or export, a name that the other file does not export, two
    files that declare the same name, and files that import one another in a circle.
    """
    owners: dict[str, Path] = {}
    exported: dict[Path, set[str]] = {}
    pieces: list[str] = []

    def add(file: Path, above: tuple[Path, ...]) -> None:
        if file in above:
            raise ValueError(
                f"{file.name} imports itself by way of {above[-1].name}; move what both need to a third file"
            )
        if file in exported:
            return
        code = file.read_text(encoding="utf-8")
        for names, source in IMPORT.findall(code):
            other = (file.parent / source).resolve()
            add(other, (*above, file))
            for name in filter(None, map(str.strip, names.split(","))):
                if name not in exported[other]:
                    raise ValueError(f"{file.name} imports {name!r}, which {other.name} does not export")
        code = IMPORT.sub("", code)
        declared = DECLARATION.findall(code)
        code = DECLARATION.sub(lambda found: found[0].removeprefix("export "), code)
        if above and "\nexport default" in code:
            raise ValueError(f"{file.name} has an export default, which only the view itself may have")
        if wrong := FOREIGN.search(code):
            raise ValueError(f"{file.name} has a line that cannot be bundled: {wrong[0]}")
        for _, name in declared:
            if name in owners:
                raise ValueError(f"{file.name} declares {name!r}, and so does {owners[name].name}; rename one")
            owners[name] = file
        exported[file] = {name for export, name in declared if export}
        pieces.append(code.strip("\n") + "\n")

    add(entry.resolve(), ())
    return "\n".join(pieces)
