"""Takes AutoGPT's events into the hub, from Redis or HTTP."""

from __future__ import annotations

from tasktree_rt.compat.autogpt.as_project import project_change
from tasktree_rt.compat.autogpt.notifications import from_autogpt
from tasktree_rt.compat.autogpt.payloads import Execution
from tasktree_rt.core.access import Grants
from tasktree_rt.core.events import Json
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.publish.pending_publish import PublishReceipt


class Intake:
    """Sends AutoGPT's events to the clients that watch them; with `mirror`, also as projects."""

    def __init__(self, hub: Hub, *, mirror: bool) -> None:
        self._hub = hub
        self._mirror = mirror

    def event(self, event: Execution, *, mirror: bool = True) -> int:
        """Send an event to its watchers; return the number of deliveries.

        Without `mirror` it changes no project: the same event comes a second time on another channel."""
        delivered = sum(map(self._hub.ephemeral_topics.publish, event.live()))
        change = project_change(event) if self._mirror and mirror else None
        if change is not None:
            self._hub.write_behind.put(
                change.project_id, change.changes, node_id=change.node_id, state=change.state
            )
        return delivered

    async def notify(self, user: str, payload: Json, *, grants: Grants) -> PublishReceipt:
        """Store a payload as a notification of the hub, and send it. Of a payload too large for a log the hub
        stores the title only, and sends all of it.

        Raises:
            PeerError: the hub refused it and sent it to no client.
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
