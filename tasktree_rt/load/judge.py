"""What a message means for the watcher that got it: deliveries, merged deliveries, states, faults."""

from __future__ import annotations

from collections.abc import Mapping

from tasktree_rt.core.events import Json
from tasktree_rt.load.account import WRONG
from tasktree_rt.load.languages.base import ORDER, Event, Merged, StatePart
from tasktree_rt.load.shared_stream import SharedStream
from tasktree_rt.load.tally import CAUGHT_UP, DELIVERY, SLOW, Tally, now_us
from tasktree_rt.load.watcher import Kind, Watcher
from tasktree_rt.load.workload import Workload


class Judge:
    """Keeps the accounts of the watchers of one process."""

    def __init__(self, workload: Workload, tally: Tally) -> None:
        self._workload = workload
        self.tally = tally

    def event(self, watcher: Watcher, event: Event, frame: bytes | bytearray) -> None:
        """Take an event; its frame goes to the shared stream if it is the next one there."""
        topic = watcher.topic
        if event.epoch and event.epoch != topic.epoch:
            self.wrong(watcher, f"event of the epoch {event.epoch}; the project's is {topic.epoch}")
            return
        merges = topic.language.traits.method == ORDER
        fault = watcher.account.take(event.position, event.number, self.tally.faults, merges=merges)
        if fault:
            self.tally.example(f"{_name(watcher)}: {fault}")
            return
        if frame and not topic.stream.append(frame, event):
            topic.stream = SharedStream(topic.stream.contiguous)
            topic.stream.append(frame, event)
        self.tally.counts["delivered"] += 1
        if event.due and (histogram := _histogram(watcher, event.due)):
            self.tally.latencies[histogram].record(now_us() - event.due)

    def merged(self, watcher: Watcher, message: Merged) -> None:
        """Take one message in place of several events: it begins where the watcher is and lacks no node."""
        account, self.tally.counts["merged"] = watcher.account, self.tally.counts["merged"] + 1
        if account.next is not None and message.after != account.next - 1:
            self.wrong(watcher, f"merged after {message.after}, but it is at {account.next - 1}")
        before = account.number if account.number is not None else -1
        number = max((_number(fields) for fields in message.nodes.values()), default=before)
        if problem := self._lacks(message, before, number):
            self.wrong(watcher, f"merged up to {message.position}: {problem}")
        account.jump(message.position, max(number, before))

    def state(self, watcher: Watcher, message: StatePart) -> bool:
        """Take a part of a state, which must be the tree after an event; return whether it was the last."""
        if message.part == 1:
            watcher.parts = {}
        if watcher.parts is None:
            self.wrong(watcher, f"part {message.part} of a state whose first part did not come")
            return False
        watcher.parts.update(message.nodes)
        if message.part < message.parts:
            return False
        nodes, watcher.parts = watcher.parts, None
        number = max(map(_number, nodes.values()), default=-1)
        if nodes != self._workload.tree(number):
            self.wrong(watcher, f"the state at {message.position} is not the tree after event {number}")
        if message.reason == "gap":
            self.tally.counts["gaps"] += 1
        before = watcher.account.number
        if before is not None and number < before:
            self.wrong(watcher, f"the state at {message.position} is older than event {before}")
        watcher.account.jump(message.position, number)
        self.tally.counts["states"] += 1
        return True

    def gap(self, watcher: Watcher) -> None:
        """Note that the server told a watcher that it lost events: its account begins anew."""
        self.tally.counts["gaps"] += 1
        watcher.account.next = watcher.account.number = None

    def wrong(self, watcher: Watcher, text: str) -> None:
        """Count a content that is not what was published."""
        self.tally.faults[WRONG] += 1
        self.tally.example(f"{_name(watcher)}: {text}")

    def _lacks(self, message: Merged, before: int, number: int) -> str:
        """Return what is wrong with the nodes of a merged message; "" if nothing is."""
        if number - before > message.position - message.after:
            return f"it holds {number - before} events"
        if message.removed:
            return f"it removes {len(message.removed)} nodes; none was deleted"
        for node_id in self._workload.changed(before, number):
            if node_id not in message.nodes:
                return f"the change of {node_id} is missing"
        for node_id, fields in message.nodes.items():
            latest = self._workload.latest(node_id, number)
            if latest is None or fields != self._workload.changes(latest):
                return f"the fields of {node_id} are not those after event {number}"
        return ""


def _histogram(watcher: Watcher, due: int) -> str:
    """Return where the latency of an event counts; "" for a stalled reader: it is as late as it stalled."""
    if watcher.kind is Kind.STALLED:
        return ""
    if watcher.kind is Kind.SLOW:
        return SLOW
    return CAUGHT_UP if due < watcher.live_since else DELIVERY


def _number(fields: Mapping[str, object] | Json) -> int:
    found = fields.get("number")
    return found if isinstance(found, int) else -1


def _name(watcher: Watcher) -> str:
    return f"watcher {watcher.index} on {watcher.topic.name}"
