"""The command ``tasktree-rt init``: write a settings file that explains every setting."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
from typed_settings.cls_utils import deep_options

from tasktree_rt import private
from tasktree_rt.cli.running import Failed
from tasktree_rt.cli.setting_options import is_secret
from tasktree_rt.cli.settings_file import FILE_NAME, SECTION
from tasktree_rt.settings import Settings, shown_value

_WIDTH: Final = 100
_HEAD: Final = f"""\
# Settings of a tasktree-rt hub. Every setting stands here with its default, commented out: remove the
# "#" before one to change it. `tasktree-rt check-config FILE` checks this file, and
# `tasktree-rt serve --config FILE` uses it. Without --config, commands read {FILE_NAME} in the
# current folder. Times are in seconds, sizes in bytes. A relative path is relative to this file.
"""


@click.command("init")
@click.argument("file", type=click.Path(path_type=Path), default=Path(FILE_NAME))
def init_command(file: Path) -> None:
    """Write FILE (tasktree-rt.toml) with every setting, its meaning and its default, commented out.

    The new file changes nothing until you remove the "#" before a setting. Only its owner may read it (mode
    0600), so that it can hold a secret. A file that exists is left alone: exit code 2.

    \b
    Examples:
      tasktree-rt init
      tasktree-rt init /etc/tasktree-rt.toml
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, private.FILE)
    except FileExistsError:
        raise Failed(f"{file}: exists already; it was not changed") from None
    except OSError as error:
        raise Failed(f"{file}: {error.strerror}") from None
    with open(descriptor, "w", encoding="utf-8") as opened:
        opened.write(settings_text())
    click.echo(f"tasktree-rt: wrote {file}; next: tasktree-rt check-config {file}")


def settings_text() -> str:
    """Return the file: valid TOML, in which only the section's heads are no comments."""
    sections: dict[str, list[str]] = {}
    for path, meaning in meanings().items():
        section, _, name = path.rpartition(".")
        sections.setdefault(section, []).append("\n".join(_entry(path, name, meaning)))
    heads = [f"[{SECTION}{section and '.'}{section}]" for section in sections]
    bodies = ["\n\n".join(entries) for entries in sections.values()]
    return _HEAD + "".join(f"\n{head}\n\n{body}\n" for head, body in zip(heads, bodies, strict=True))


def meanings() -> Mapping[str, str]:
    """Return what each setting means, by its path: the docstrings of the settings' classes."""
    found: dict[str, str] = {}
    for option in deep_options(Settings):
        metadata: Mapping[str, Any] = option.metadata or {}
        found[option.path] = _plain(metadata.get("click", {}).get("help", ""))
    return found


def _plain(docstring: str) -> str:
    """Return a docstring as one paragraph of plain text."""
    return re.sub(r"``?([^`]+)``?", r"\1", " ".join(docstring.split()))


def _entry(path: str, name: str, meaning: str) -> Iterator[str]:
    for line in textwrap.wrap(meaning, _WIDTH, break_on_hyphens=False):
        yield f"# {line}"
    if is_secret(path):
        yield "# A secret: keep this file to yourself (chmod 600)."
    value: Any = Settings()
    for part in path.split("."):
        value = getattr(value, part)
    yield f"#{name} = {shown_value(value)}"
