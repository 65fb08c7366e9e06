"""The papers as a site: Sphinx reads Markdown where it lies, so that every link holds on both sides. Asks no network.

`make docs` builds it, and any link or anchor that leads nowhere is an error.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

project = "NQ Gateway"
author = "the authors of NQ Gateway"
copyright = author
release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

extensions = ["myst_parser", "sphinx_copybutton", "sphinx_design"]
include_patterns = ["docs/**", "*.md"]
exclude_patterns = [".*", "docs/site", *"bench build config data dist gateway keystore tests tools".split()]
root_doc = "docs/index"
myst_enable_extensions = ["colon_fence", "attrs_block", "deflist"]
myst_heading_anchors = 4
highlight_language = "text"
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = "NQ Gateway"
html_favicon = "../../gateway/console/static/icon.svg"
html_static_path = ["static", "../../gateway/console/static/icon.svg"]
html_css_files = ["site.css"]
html_extra_path = ["extra"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_last_updated_fmt = None
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_exclude = ".linenos, .gp, .go"
html_theme_options = {
    "sidebar_hide_name": False,
    "navigation_with_keys": True,
    "top_of_page_buttons": [],
    "light_css_variables": {
        "color-brand-primary": "#1f4b99",
        "color-brand-content": "#1f4b99",
        "color-brand-visited": "#1f4b99",
        "color-background-secondary": "#f6f7f9",
        "color-background-border": "#e1e5ea",
        "color-foreground-primary": "#171c24",
        "color-foreground-secondary": "#5a6472",
        "color-sidebar-link-text": "#3b4350",
        "color-sidebar-link-text--top-level": "#3b4350",
    },
    "dark_css_variables": {
        "color-brand-primary": "#8db4ff",
        "color-brand-content": "#8db4ff",
        "color-brand-visited": "#8db4ff",
        "color-background-primary": "#0f1216",
        "color-background-secondary": "#171b21",
        "color-background-border": "#2b323c",
        "color-foreground-primary": "#e7eaee",
        "color-foreground-secondary": "#a1abb8",
        "color-sidebar-link-text": "#c3cad4",
        "color-sidebar-link-text--top-level": "#c3cad4",
    },
}

DECISIONS = "\n\n```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"


def _with_its_pages(_app: Any, page: str, source: list[str]) -> None:
    """The list of decisions is prose where it is read as a file; here it is also what the navigation opens.

    In the front page's lists `how-to/*` stands for the pages that no line of it names.
    """
    if page == "docs/decisions/README":
        source[0] += DECISIONS
    if page == root_doc:
        named = set(re.findall(r"^(?:.+<)?([\w-]+/[\w-]+)>?$", source[0], re.MULTILINE))
        source[0] = re.sub(r"^([\w-]+)/\*$", lambda found: _others(found[1], named), source[0], flags=re.MULTILINE)


def _others(folder: str, named: set[str]) -> str:
    pages = {f"{folder}/{one.stem}" for one in (ROOT / "docs" / folder).glob("*.md")}
    return "\n".join(sorted(pages - named))


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", _with_its_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
