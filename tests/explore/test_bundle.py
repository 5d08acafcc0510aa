"""The modules of a view become one, and what the bundler does not know is refused by name."""

import re

import pytest

from vit_tutorial.explore.bundle import bundle

KIT = "export const two = 2;\nexport function twice(x) {\n  return two * x;\n}\nconst own = 1;\n"
VIEW = 'import { two } from "./lib/kit.js";\n\nexport default { render: () => two };\n'


@pytest.fixture
def made(tmp_path):
    """`made(name=code, ...)` writes modules, `lib_kit` as lib/kit.js, and bundles view.js."""

    def write(**codes):
        for name, code in {"view": VIEW, "lib_kit": KIT, **codes}.items():
            file = tmp_path.joinpath(*name.split("_")).with_suffix(".js")
            file.parent.mkdir(exist_ok=True)
            file.write_text(code)
        return bundle(tmp_path / "view.js")

    return write


def test_imports_stand_in_front_and_only_the_default_export_stays(made):
    assert made() == (
        "const two = 2;\nfunction twice(x) {\n  return two * x;\n}\nconst own = 1;\n\n"
        "export default { render: () => two };\n"
    )


def test_a_module_that_two_import_stands_once(made):
    one = 'import { two } from "./lib/kit.js";\nexport const four = two + two;\n'
    imports = 'import {\n  four,\n} from "./one.js";\nimport { twice } from "./lib/kit.js";\n'
    code = made(view=imports + "export default { four, twice };\n", one=one)
    assert code.count("const two = 2;") == 1
    assert code.index("function twice") < code.index("const four") < code.index("export default")


@pytest.mark.parametrize(
    ("codes", "sentence"),
    [
        ({"view": 'import { three } from "./lib/kit.js";\n'}, "view.js imports 'three', which kit.js does not export"),
        ({"view": 'import { own } from "./lib/kit.js";\n'}, "view.js imports 'own', which kit.js does not export"),
        ({"view": VIEW + "function own() {}\n"}, "view.js declares 'own', and so does kit.js; rename one"),
        ({"view": VIEW + "let own;\n"}, "view.js declares 'own', and so does kit.js; rename one"),
        ({"view": 'import { two as 2 } from "./lib/kit.js";\n'}, "view.js imports 'two as 2', which"),
        ({"view": 'import kit from "./lib/kit.js";\n'}, "cannot be bundled: import kit from"),
        ({"view": 'import { two } from "somewhere";\n'}, "cannot be bundled: import { two } from"),
        ({"view": "export { two };\n"}, "view.js has a line that cannot be bundled: export { two };"),
        ({"view": VIEW + "const [a, b] = [1, 2];\n"}, "cannot be bundled: const [a, b]"),
        ({"lib_kit": KIT + "export default two;\n"}, "kit.js has an export default"),
        ({"lib_kit": 'import { x } from "../view.js";\n' + KIT}, "view.js imports itself by way of kit.js"),
    ],
)
def test_what_cannot_be_bundled_is_refused_by_name(made, codes, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        made(**codes)
