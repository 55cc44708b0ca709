"""Templates: ours, then Flower's, in whose bar our links stand first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flower
import tornado.template

FLOWERS_TEMPLATES = Path(flower.__file__).parent / "templates"
OURS = Path(__file__).parents[1] / "templates"

_OURS_BEGIN = "dialstock/"
_BAR = "navbar.html"
_LINKS = "dialstock/links.html"
_FIRST_IN_BAR = '<ul class="app-nav navbar-nav">'

_PARTS = {
    "base.html": ("{% block title %}", "{% block navbar %}", "{% block container %}", "{% block extra_scripts %}"),
    _BAR: (_FIRST_IN_BAR, "active_tab"),
}


def missing_parts(folder: Path) -> list[str]:
    """What our pages build on and the templates in *folder* have not."""
    missing = []
    for name, parts in _PARTS.items():
        path = folder / name
        text = path.read_text() if path.is_file() else ""
        missing += [f"{part} in {name}" for part in parts if part not in text]
    return missing


class Templates(tornado.template.BaseLoader):
    """Templates by their whole names: those of our folder, and else Flower's."""

    def resolve_path(self, name: str, parent_path: str | None = None) -> str:  # noqa: ARG002 - Tornado's signature
        """Every name is a whole one."""
        return name

    def _create_template(self, name: str) -> tornado.template.Template:
        escape = "words.text" if name.startswith(_OURS_BEGIN) else "xhtml_escape"
        return tornado.template.Template(_source(name), name=name, loader=self, autoescape=escape)


def _source(name: str) -> str:
    if name.startswith(_OURS_BEGIN):
        return (OURS / name).read_text()
    text = (FLOWERS_TEMPLATES / name).read_text()
    if name == _BAR:
        links = (OURS / _LINKS).read_text()
        text = text.replace(_FIRST_IN_BAR, f"{_FIRST_IN_BAR}\n{links}", 1)
    return text


Document = Mapping[str, Any]
"""What a page shows, as plain data; its JSON is the same."""
