"""How Sphinx makes the pages; site/build.py lays out what they are made from."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

project = "The Vision Transformer, built by hand"
html_title = project
author = "vit_tutorial"
language = "en"
extensions = ["myst_nb", "sphinx.ext.mathjax", "host"]

nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4

html_theme = "sphinx_book_theme"
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "show_navbar_depth": 1,
    "home_page_in_toc": False,
    "footer_content_items": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"**": ["home.html", "search-button-field.html", "sbt-sidebar-nav.html", "progress.html"]}
templates_path = ["templates"]
html_static_path = ["static"]
html_favicon = "static/icon.svg"  # without one a browser asks the server for /favicon.ico
html_css_files = ["explorers/explore.css", "course.css"]
html_js_files = ["explorers/host.js", ("course.js", {"defer": "defer"})]
html_context = {"default_mode": "auto"}
html_copy_source = False
html_show_sourcelink = False
html_use_index = False
html_show_search_summary = False  # it would fetch each page, which a page that was opened as a file may not

mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}}
