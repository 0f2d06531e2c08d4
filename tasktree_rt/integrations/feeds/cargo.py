"""``cargo build --message-format=json`` (or ``json-diagnostic-rendered-ansi``): crates, compiler messages.

Cargo reports a crate when it is done, not when it begins: its node begins with its first warning or its end.
"""

from __future__ import annotations

from tasktree_rt.client.joining import Joined
from tasktree_rt.integrations.feeds.base import Json, json_object, text
from tasktree_rt.integrations.nodes import Nodes


class CargoFeed:
    """See the module. Prints the compiler's messages as they were rendered."""

    def __init__(self, joined: Joined, parent: str | None) -> None:
        self._nodes = Nodes(joined, parent)
        self._errors: dict[str, str] = {}
        self._well = True

    def line(self, line: str) -> str:
        """See `Feed.line`."""
        found = json_object(line)
        match None if found is None else text(found, "reason"):
            case "compiler-message":
                return self._message(found or {})
            case "compiler-artifact":
                self._artifact(found or {})
            case "build-script-executed":
                self._script(found or {})
            case "build-finished":
                self._finish(found or {})
            case _:
                return line
        return ""

    def end(self) -> bool:
        """See `Feed.end`."""
        self._fail_rest()
        return not self._nodes.cancel_rest("cargo ended before it did") and self._well

    def _message(self, found: Json) -> str:
        message = found.get("message")
        if not isinstance(message, dict):
            return ""
        rendered, level = text(message, "rendered"), text(message, "level")
        key = self._begin(found)
        node = self._nodes.get(key)
        if node is not None and rendered.strip():
            node.log(rendered.rstrip("\n"), level=level if level in ("error", "warning") else "info")
        if level.startswith("error"):
            self._errors.setdefault(key, text(message, "message"))
        return rendered

    def _begin(self, found: Json) -> str:
        target = found.get("target")
        target = target if isinstance(target, dict) else {}
        kinds = target.get("kind")
        kind = str(kinds[0]) if isinstance(kinds, list) and kinds else "crate"
        profile = found.get("profile")
        tested = isinstance(profile, dict) and profile.get("test") is True
        name = _package_name(text(found, "package_id"))
        what = f"{text(target, 'name') or name} ({'test ' if tested else ''}{kind})"
        key = f"{name} {what}"
        self._nodes.begin(key, title=f"{name}: {what}", kind="crate")
        return key

    def _artifact(self, found: Json) -> None:
        node = self._nodes.take(self._begin(found))
        if node is not None:
            node.complete(cached=True if found.get("fresh") is True else None)

    def _script(self, found: Json) -> None:
        """A build script ran: its node is not that of its compilation."""
        name = _package_name(text(found, "package_id"))
        key = f"{name} build script ran"
        self._nodes.begin(key, title=f"{name}: run build script", kind="script")
        node = self._nodes.take(key)
        if node is not None:
            node.complete()

    def _finish(self, found: Json) -> None:
        self._well = self._well and found.get("success") is True
        self._fail_rest()

    def _fail_rest(self) -> None:
        for key, error in self._errors.items():
            node = self._nodes.take(key)
            if node is not None:
                node.fail(error or "does not compile")
                self._well = False
        self._errors.clear()


def _package_name(package_id: str) -> str:
    """Return name and version of ``path+file:///x#0.1.0``, ``registry+…#syn@2.0.1``, ``demo 0.1.0 (…)``."""
    place, hash_sign, version = package_id.rpartition("#")
    if not hash_sign:
        return " ".join(package_id.split(" ")[:2]) or "crate"
    if "@" in version:
        return version.replace("@", " ")
    return f"{place.rstrip('/').rpartition('/')[2]} {version}"
