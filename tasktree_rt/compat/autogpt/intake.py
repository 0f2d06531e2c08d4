"""AutoGPT's events into the hub, whichever way they come."""

from __future__ import annotations

from tasktree_rt.compat.autogpt.as_project import mirrored
from tasktree_rt.compat.autogpt.notifications import from_autogpt
from tasktree_rt.compat.autogpt.payloads import Execution
from tasktree_rt.core.access import Grants
from tasktree_rt.core.events import Json
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.publish.receipt import PublishReceipt


class Intake:
    """Shows what AutoGPT publishes to the clients that watch it; with `mirror` also as projects."""

    def __init__(self, hub: Hub, *, mirror: bool) -> None:
        self._hub = hub
        self._mirror = mirror

    def event(self, event: Execution, *, mirror: bool = True) -> int:
        """Show it now; returns to how many channels of how many connections it went. Without `mirror` it is
        no change of a project's: the same event comes once more."""
        shown = sum(map(self._hub.ephemeral_topics.publish, event.live()))
        change = mirrored(event) if self._mirror and mirror else None
        if change is not None:
            self._hub.write_behind.put(
                change.project_id, change.changes, node_id=change.node_id, state=change.state
            )
        return shown

    async def notify(self, user: str, payload: Json, *, grants: Grants) -> PublishReceipt:
        """Keep it as a notification of the hub's, and show it. A payload beyond what a log keeps is shown
        whole all the same; then only its title is kept.

        Raises:
            PeerError: refused; no client was shown anything.
        """
        whole = from_autogpt(payload)
        try:
            return await self._hub.notifications.notify(user, whole, grants=grants)
        except InvalidInput as error:
            if error.code != "too_large":
                raise
        return await self._hub.notifications.notify(
            user, {"title": whole["title"]}, grants=grants, live=whole
        )
