"""Search in events: the query language, the text of an event, and the rule by which a text matches.

A query is words that must all occur, in any order: ``timeout "connection refused" retr*``. Words between
quotation marks must follow each other; a ``*`` at the end stands for any continuation. Case and accents make
no difference. Every other character separates words, so no query is malformed.

A word is a run of letters and digits, as of SQLite's tokenizer ``unicode61``: a broker with an index and a
broker that reads event by event find the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

from tasktree_rt.errors import InvalidInput

MAX_QUERY: Final = 400
"""Characters of a query."""
MAX_TERMS: Final = 20
MAX_TEXT: Final = 16_384
"""Characters of one event that are searched."""
KINDS: Final = ("log", "node", "event")
"""``log``: output; ``node``: changes of nodes; ``event``: all other types."""
BETWEEN: Final = " · "
"""Stands between the values of an event in its text."""

_TERM: Final = re.compile(r'"([^"]*)"?(\*?)|([^\s"]+)')
_WORD: Final = re.compile("(?:[^\\W_][\u0300-\u036f]*)+")
_EXCERPT: Final = 160
_BEFORE: Final = 40
"""Characters before the first mark of an excerpt, at most."""
_KIND_OF: Final = {"log": "log", "node_update": "node"}


@frozen
class Term:
    """Words that follow each other; with `prefix` the last one may go on."""

    words: tuple[str, ...]
    prefix: bool = False


@frozen
class Query:
    """What is looked for: all `terms`, in events of these kinds, nodes and levels.

    Attributes:
        kind: one of `KINDS`, or None.
        node_id: the node that the event names, or None.
        levels: levels of output in small letters, any of them; empty: all.
    """

    terms: tuple[Term, ...]
    kind: str | None = None
    node_id: str | None = None
    levels: tuple[str, ...] = ()


@frozen
class Excerpt:
    """A piece of a text, and the places in it that match: pairs of first and end, in characters."""

    text: str
    marks: tuple[tuple[int, int], ...]

    @property
    def pieces(self) -> list[str]:
        """The text cut at its marks: every second piece matches, the first does not."""
        pieces, end = [], 0
        for first, last in self.marks:
            if first >= end:
                pieces += [self.text[end:first], self.text[first:last]]
                end = last
        return [*pieces, self.text[end:]]


def parse_query(text: str, field: str = "q") -> tuple[Term, ...]:
    """Return the terms of a query.

    Raises:
        InvalidInput: it is too long, or has no word; names `field`.
    """
    if len(text) > MAX_QUERY:
        raise InvalidInput(f"expected at most {MAX_QUERY} characters", field=field)
    terms = []
    for phrase, star, plain in _TERM.findall(text):
        words = tuple(word for word, _, _ in _words(phrase or plain))
        if words:
            terms.append(Term(words, bool(star) or plain.endswith("*")))
    if not terms:
        raise InvalidInput('expected a word, a "phrase" or a prefix*', field=field)
    if len(terms) > MAX_TERMS:
        raise InvalidInput(f"expected at most {MAX_TERMS} words", field=field)
    return tuple(terms)


def kind_of(type: str) -> str:
    """Return the kind of an event of a type, one of `KINDS`."""
    return _KIND_OF.get(type, "event")


def event_text(type: str, data: dict[str, Any]) -> str:
    """Return the text in which an event is found: a line's message, or all texts and numbers of its data."""
    if type == "log":
        message = data.get("message")
        return message[:MAX_TEXT] if isinstance(message, str) else ""
    return BETWEEN.join(_atoms(data))[:MAX_TEXT]


def _atoms(value: object) -> Iterator[str]:
    """Go through the texts and numbers of a JSON value in their order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _atoms(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _atoms(inner)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield repr(value)


def found_in(text: str, terms: tuple[Term, ...]) -> Excerpt | None:
    """Return the excerpt around the first match; None if not all terms occur."""
    words = _words(text)
    spans: list[tuple[int, int]] = []
    for term in terms:
        places = _places(words, term)
        if not places:
            return None
        spans += places
    return _excerpt(text, sorted(set(spans)))


def _words(text: str) -> list[tuple[str, int, int]]:
    """Return the words of a text, folded, with where they begin and end."""
    return [(_folded(one.group()), one.start(), one.end()) for one in _WORD.finditer(text)]


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    apart = unicodedata.normalize("NFD", word.lower())
    return unicodedata.normalize("NFC", "".join(one for one in apart if unicodedata.category(one) != "Mn"))


def _places(words: list[tuple[str, int, int]], term: Term) -> list[tuple[int, int]]:
    size = len(term.words)
    return [
        (words[at][1], words[at + size - 1][2])
        for at in range(len(words) - size + 1)
        if all(_is(words[at + n][0], term, n) for n in range(size))
    ]


def _is(word: str, term: Term, n: int) -> bool:
    wanted = term.words[n]
    return word.startswith(wanted) if term.prefix and n == len(term.words) - 1 else word == wanted


def _excerpt(text: str, spans: list[tuple[int, int]]) -> Excerpt:
    begin = max(0, spans[0][0] - _BEFORE)
    end = min(len(text), max(begin + _EXCERPT, spans[0][1]))
    before, after = "…" if begin else "", "…" if end < len(text) else ""
    shift = len(before) - begin
    marks = tuple((first + shift, last + shift) for first, last in spans if last <= end)
    return Excerpt(f"{before}{text[begin:end]}{after}", marks)
