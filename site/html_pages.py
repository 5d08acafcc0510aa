"""What is changed in pages after Sphinx has written them."""

import re

# What axe-core finds in the pages as the theme and myst-nb write them, what they show to the eye alone, and the colours
# of a page without JavaScript.
MENDED = (
    ('<summary aria-label="Toggle hidden content">', "<summary>"),  # hides the words that are seen
    (r'(<button class="[^"]*search-button-field[^>]*?) aria-label="Search"', r"\1"),
    (r"<th\b([^>]*)>(?:<p></p>)?</th>", r"<td\1></td>"),  # a heading without words
    ('<dialog id="pst-search-dialog"', r'\g<0> aria-label="Search"'),
    ('<dialog id="pst-primary-sidebar-modal"', r'\g<0> aria-label="Menu"'),
    ('<dialog id="pst-secondary-sidebar-modal"', r'\g<0> aria-label="Contents"'),
    (r'<a class="current reference internal"', r'\g<0> aria-current="page"'),
    (r'<div class="cell_input docutils container"', r'\g<0> role="group" aria-label="Code"'),
    (
        r'<(div class="output (stream|text_plain)[^"]*|pre class="vit-printed)"',
        r'\g<0> role="group" aria-label="Output"',
    ),
    (r'(<html [^>]*data-theme)="auto"', r'\1="light"'),  # the theme has colours for light and dark; a script chooses
)


def mended(page: str) -> str:
    """Return the page without what keeps readers out who do not see it."""
    for wrong, right in MENDED:
        page = re.sub(wrong, right, page)
    return page


def with_base(page: str, base: str) -> str:
    """Return a page, all of whose links count from `base`, from wherever it is sent."""
    return page.replace("<head>", f'<head>\n    <base href="{base.rstrip("/")}/">', 1)
