"""What the site changes in the pages of ``docs/``, which are also read in a checkout.

Links to files outside ``docs/`` become their path; screenshots become a sentence, since the dashboard itself
is a click away where a hub serves the site; and what no page needs is left out, so that the site stays small.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

LINK: Final = re.compile(r"(!?)\[([^\[\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
UNUSED: Final = (
    "assets/javascripts/lunr",
    "sitemap.xml",
    "sitemap.xml.gz",
    "404.html",
    "objects.inv",
)
SEARCH: Final = 'data-md-component="search" role="dialog"'
CHECKOUT: Final = "in a checkout"


class File(Protocol):
    """A source file; `src_uri` is its path in ``docs/``."""

    src_uri: str


class Page(Protocol):
    """A page of the site."""

    file: File


def on_config(config: dict[str, Any]) -> None:
    """Give pages that `nav` does not name a place: those of ``integrations/`` together, others at the end."""
    named = set(re.findall(r"[\w/-]+\.md", repr(config["nav"])))
    folder = Path(config["docs_dir"])
    others = sorted({path.relative_to(folder).as_posix() for path in folder.rglob("*.md")} - named)
    integrations = [one for one in others if one.startswith("integrations/")]
    rest = [one for one in others if one not in integrations]
    for title, pages in (("Integrations", integrations), ("More", rest)):
        if pages:
            config["nav"].append({title: pages})


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Rewrite the links of a page."""
    folder = posixpath.dirname(page.file.src_uri)

    def rewritten(match: re.Match[str]) -> str:
        image, text, target, _ = match.groups()
        if "://" in target:
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        if image and target.endswith((".png", "moving.svg")):
            return f"*Picture `docs/{path}` {CHECKOUT}: {text}*"
        if path.startswith("../"):
            return f"{text} (`{path.removeprefix('../')}` {CHECKOUT})"
        return match[0]

    return LINK.sub(rewritten, markdown)


def on_post_page(output: str, **_: object) -> str:
    """Name the search for screen readers, and make empty heads of tables no heads."""
    return output.replace(SEARCH, f'{SEARCH} aria-label="Search"').replace("<th></th>", "<td></td>")


def on_post_build(*, config: Mapping[str, str], **_: object) -> None:
    """Leave out maps, other languages of the search, and pictures that only a checkout shows."""
    site = Path(config["site_dir"])
    for path in (*site.rglob("*.map"), *site.glob("images/*")):
        path.unlink()
    for name in UNUSED:
        path = site / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
