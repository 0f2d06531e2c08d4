"""Hide secrets in texts and under names that say that they hold one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

HIDDEN: Final = "•••"
LONGEST: Final = 4_096
"""Characters of a secret that is hidden as a whole. Of a text that was cut off so many are left out at its
end, since a secret may begin there."""

_NAME: Final = re.compile(
    r"(?:^|[._\-/\s])(?:(?:proxy[_-]?)?authorization|x?[_-]?api[_-]?key|apikey|passw(?:or)?d|passwd|pwd|passphrase|secret"
    r"|client[_-]?secret|set[_-]?cookie|cookie|credentials?|private[_-]?key|access[_-]?key(?:[_-]?id)?|signature"
    r"|(?:[a-z]{1,20}[_-]){0,3}token)(?:$|[._\-/\s])",
    re.IGNORECASE,
)
_COUNTS: Final = re.compile(
    r"token_(?:count|type|limit|usage|budget)|tokens|token\.(?:count|type)", re.IGNORECASE
)
"""Names with the word token that hold numbers: ``llm.token_count.prompt``."""
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")

_PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,16384}(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
)
_SECRETS: Final = tuple(
    # Within a run of such characters only its beginning is looked at: the time stays linear.
    re.compile(rf"(?<![A-Za-z0-9_-])(?:{secret})")
    for secret in (
        r"(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,512}",
        r"gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}|glpat-[A-Za-z0-9_-]{16,255}",
        r"xox[a-z]-[A-Za-z0-9-]{10,255}|hf_[A-Za-z0-9]{20,255}",
        r"(?:AKIA|ASIA)[A-Z0-9]{16}\b|AIza[A-Za-z0-9_-]{30,64}",
        r"eyJ[A-Za-z0-9_-]{5,4096}\.[A-Za-z0-9_-]{5,4096}\.[A-Za-z0-9_-]{0,4096}",
    )
)
_BEARER: Final = re.compile(r"\b(bearer|basic)\s{1,8}[A-Za-z0-9._~+/=-]{8,4096}", re.IGNORECASE)
_IN_URL: Final = re.compile(r"(://[^/\s:@]{0,256}:)[^/\s@]{1,256}@")
_TOKEN: Final = re.compile(r"(?<![A-Za-z_-])(token=)[^\s\"',;&}\\•]{3,4096}", re.IGNORECASE)
_ASSIGNED: Final = re.compile(
    r"((?:api[_-]?key|access[_-]?key|password|passwd|secret|authorization|private[_-]?key|access[_-]?token"
    r"|refresh[_-]?token|auth[_-]?token)\\?[\"']?\s{0,8}[:=]\s{0,8}\\?[\"']?)(?!bearer\b|basic\b)[^\s\"',;&}\\•]{3,4096}",
    re.IGNORECASE,
)


class Redaction:
    """Hides secrets; `own` are regular expressions for more of them, which the settings have checked."""

    def __init__(self, own: Iterable[str] = ()) -> None:
        self._patterns = (_PEM, *_SECRETS, *map(re.compile, own))

    def names_secret(self, name: str) -> bool:
        """Return whether a value of this name is a secret, whatever it looks like."""
        spaced = _CAMEL.sub("_", name)
        return _NAME.search(spaced) is not None and _COUNTS.search(spaced) is None

    def text(self, text: str) -> str:
        """Return a text with every secret in it replaced."""
        for pattern in self._patterns:
            text = pattern.sub(HIDDEN, text)
        text = _BEARER.sub(rf"\1 {HIDDEN}", text)
        text = _IN_URL.sub(rf"\1{HIDDEN}@", text)
        text = _TOKEN.sub(rf"\1{HIDDEN}", text)
        return _ASSIGNED.sub(rf"\1{HIDDEN}", text)

    def cut(self, text: str, most: int) -> str:
        """Return at most `most` characters of a text, its secrets replaced before it is cut."""
        window = text
        if len(text) > most + 2 * LONGEST:
            window = text[: most + 2 * LONGEST]
        shown = self.text(window)
        if window is not text:
            shown = shown[: max(0, len(shown) - LONGEST)]
        return shown if len(shown) <= most and window is text else shown[: most - 1] + "…"
