"""The command ``tasktree-rt search``: find events and output of one project, or of all."""

from __future__ import annotations

import sys
from typing import Final

import click

from tasktree_rt.cli.log_lines import plain
from tasktree_rt.cli.remote import checked_hub, checked_project, desk_at, hub_option, patience_option
from tasktree_rt.cli.running import reader_may_leave, run
from tasktree_rt.cli.waiting import say
from tasktree_rt.client.interactions.api_requests import SearchPage
from tasktree_rt.core.events import Json
from tasktree_rt.core.search import KINDS
from tasktree_rt.dialects.base import encode_json

PAGE: Final = 100
NOTHING: Final = 1
"""Exit code if no event matches, as of grep."""
_MARK: Final = ("\x1b[1;33m", "\x1b[0m")


@click.command("search")
@click.argument("text")
@click.option("--project", metavar="ID", help="Only in this project; default: in all that you may read.")
@click.option("--node", metavar="ID", help="Only events of this node.")
@click.option("--kind", type=click.Choice(KINDS), help="Only output, changes of nodes, or other events.")
@click.option("--level", metavar="LEVELS", help="Only output of these levels, separated by commas.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=1), default=20, show_default=True, help="So many, the newest."
)
@click.option("--json", "as_json", is_flag=True, help="Print the hits, one JSON object a line.")
@hub_option
@patience_option
def search_command(
    text: str,
    project: str | None,
    node: str | None,
    kind: str | None,
    level: str | None,
    lines: int,
    as_json: bool,
    hub: str,
    patience: float,
) -> None:
    """Find the events and the output that have all words of TEXT, the newest of each project first.

    A word, a "phrase" or a prefix*; case and accents make no difference. Standard error says how many match.
    Exit code 0 if any does, 1 if none does, 2 on a mistake. Ctrl+C stops the hub's search too.

    \b
    Examples:
      tasktree-rt search 'connection refused'
      tasktree-rt search '"exit code 137"' --project build-7 --level error
      tasktree-rt search 'time*' --json -n 1000 | jq -r .project_id | sort | uniq -c
    """
    url = checked_hub(hub)
    name = None if project is None else checked_project(project)
    wanted = {"project_id": name, "node_id": node, "kind": kind, "level": level}
    colours = sys.stdout.isatty()
    with reader_may_leave():
        count = run(_search, url, text, wanted, lines, None if as_json else colours, patience)
    sys.exit(0 if count else NOTHING)


async def _search(
    url: str, text: str, wanted: dict[str, str | None], lines: int, colours: bool | None, patience: float
) -> int:
    """Print hits; `colours` None prints JSON. Returns how many were printed."""
    printed = 0
    async with desk_at(url, patience) as desk:
        page = first = await desk.search(text, limit=min(lines, PAGE), **wanted)
        while True:
            _print(page, colours)
            printed += len(page.hits)
            if page.next is None or printed >= lines:
                break
            page = await desk.search(text, limit=min(lines - printed, PAGE), after=page.next, **wanted)
    say(_amount(first, printed))
    return printed


def _amount(page: SearchPage, printed: int) -> str:
    more = "" if page.exact else "at least "
    looked = "" if page.index else "; this hub keeps no index and read the newest events only"
    return f"{printed} of {more}{max(page.count, printed)} events{looked}"


def _print(page: SearchPage, colours: bool | None) -> None:
    for hit in page.hits:
        click.echo(encode_json(hit).decode() if colours is None else line_of(hit, colours=colours))


def line_of(hit: Json, *, colours: bool) -> str:
    """Format a hit: time, position, level or type, node, and the text around what matches."""
    what = _word(hit["level"] or hit["type"])
    head = f"{_word(hit['received'])} {_word(hit['project_id'])}#{hit['seq']} {what:<7}"
    if hit["node_id"] is not None:
        head += f" {_word(hit['node_id'])}:"
    first, last = _MARK if colours else ("", "")
    pieces = (f"{first}{_word(one)}{last}" if n % 2 else _word(one) for n, one in enumerate(hit["excerpt"]))
    return f"{head} {''.join(pieces)}"


def _word(text: str) -> str:
    """Format foreign text in one line."""
    return plain(text).replace("\n", " ")
