"""The command ``tasktree-rt feed``: what a build or test tool prints becomes a tree."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, Final

import click
from attrs import frozen

from tasktree_rt.client.joining import Joined, Open, join
from tasktree_rt.client.urls import DEFAULT_HUB
from tasktree_rt.integrations.feeds.base import MAX_LINE, Feed
from tasktree_rt.integrations.naming import own_project

INTERRUPTED: Final = 130


@frozen
class Kind:
    """A tool: the module in `tasktree_rt.integrations.feeds`, its class, the node's title."""

    module: str
    name: str
    title: str


KINDS: Final = {
    "go": Kind("go", "GoFeed", "go test"),
    "cargo": Kind("cargo", "CargoFeed", "cargo"),
    "docker": Kind("docker", "DockerFeed", "docker build"),
    "ninja": Kind("ninja", "NinjaFeed", "ninja"),
    "junit": Kind("junit", "JunitFeed", "tests"),
}


@click.command("feed")
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("project", required=False)
@click.argument("file", type=click.File("rb"), default="-")
@click.option(
    "--hub",
    metavar="URL",
    default=DEFAULT_HUB,
    show_default=True,
    envvar="TASKTREE_RT_HUB",
    help="The hub's address.",
)
@click.option("--node", metavar="ID", help="The node that all others are under; default: KIND.")
@click.option("--parent", metavar="ID", envvar="TASKTREE_RT_PARENT", help="The node above that one.")
@click.option("--title", metavar="TEXT", help="That node's title; default: the tool.")
@click.option(
    "--state/--no-state", default=None, help="Say that PROJECT runs, and how it ended; default as in `run`."
)
def feed_command(
    kind: str,
    project: str | None,
    file: BinaryIO,
    hub: str,
    node: str | None,
    parent: str | None,
    title: str | None,
    state: bool | None,
) -> None:
    """Show in PROJECT what a tool of this KIND prints to FILE, or to standard input, while it prints.

    \b
    go      go test -json ./...                   packages, tests, subtests
    cargo   cargo build --message-format=json-diagnostic-rendered-ansi
                                                  crates, when they are done; warnings and errors
    docker  docker build --progress=rawjson . 2>&1
                                                  steps, layers, what they print
    ninja   ninja                                 steps, when they are done
    junit   a JUnit XML file, of any language's tests

    It prints what is for people, and passes on what it cannot read. PROJECT is as in `run`. No tool waits for
    the hub.

    \b
    Exit codes:
      0    what was fed went well
      1    something in it failed, or its end is missing
      130  interrupted

    \b
    Examples:
      go test -json ./... | tasktree-rt feed go build-7
      tasktree-rt feed junit build-7 report.xml
    """
    named = own_project(project, Path.cwd().name, os.environ)
    joined = join(named.id, hub=hub, parent=parent)
    own = (parent is None and named.own) if state is None else state
    made = KINDS[kind]
    if named.fields:
        joined.update(**named.fields)
    if own:
        joined.state("running")
    name = node or (kind if joined.parent is None else f"{joined.parent}/{kind}")
    above = joined.node(name, parent=joined.parent, title=title or made.title, kind="feed")
    ended = _fed(made, joined, above, file)
    if own:
        joined.state(ended)
    joined.close()
    sys.exit({"completed": 0, "failed": 1}.get(ended, INTERRUPTED))


def _fed(kind: Kind, joined: Joined, node: Open, file: BinaryIO) -> str:
    """Feed all lines; end the node and return its status."""
    feed: Feed = getattr(import_module(f"tasktree_rt.integrations.feeds.{kind.module}"), kind.name)(
        joined, node.id
    )
    try:
        for line in _lines(file):
            _print(feed.line(line))
    except KeyboardInterrupt:
        feed.end()
        node.cancel("interrupted")
        return "cancelled"
    if feed.end():
        node.complete()
        return "completed"
    problem = getattr(feed, "problem", None)
    if problem is not None:
        click.echo(f"tasktree-rt: feed: {file.name}: {problem}", err=True)
    node.fail(problem or "failed")
    return "failed"


def _lines(file: BinaryIO) -> Iterator[str]:
    """Yield the lines as they come; one of more than `MAX_LINE` bytes in pieces."""
    while line := file.readline(MAX_LINE):
        yield line.decode("utf-8", "replace")


def _print(text: str) -> None:
    """Print; where nobody reads it any more, the feed goes on."""
    if not text or sys.stdout.closed:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.close(devnull)
