"""What the steps do."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

import trio

from tasktree_rt.core.protocol import Policy
from tests.simulation import store
from tests.simulation.events import some_events, the_end
from tests.simulation.folk import Folk
from tests.simulation.interactions import USER
from tests.simulation.listener import AutoGptWatcher
from tests.simulation.peer import Peer
from tests.simulation.producer import Producer
from tests.simulation.schedule import Step
from tests.simulation.watcher import STAR, NativeWatcher, Watcher
from tests.simulation.world import World

NEVER: Final = 1 << 30
CHOICES: Final = [Policy.CONFLATE, Policy.RESYNC, Policy.DISCONNECT]
SIZES: Final = {"some": (1, 3), "burst": (3, 4), "flood": (3, 8)}
"""Publishes in a row, and events in each of them at most."""
FAILING: Final = {
    "full": store.FULL,
    "io-error": store.IO_ERROR,
    "unreadable": store.UNREADABLE,
    "locked": store.LOCKED,
}


class Actions:
    """One method for each kind of step."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.folk = Folk(world)
        self._store_fault = ""
        self._felt = 0

    async def do(self, step: Step) -> bool:
        """Do a step and let happen what comes before the next; whether all is quiet then."""
        world = self._world
        world.turn += 1
        world.note(str(step))
        mine = f"_{step.kind.replace('-', '_')}"
        act: Callable[[Step, Random], None] = getattr(self, mine, None) or getattr(self.folk, step.kind)
        act(step, Random(step.dice))
        if step.then == "few":
            for _ in range(1 + step.dice % 7):
                await trio.lowlevel.checkpoint()
        elif isinstance(step.then, float):
            await trio.sleep(step.then)
        if step.then not in ("now", "few"):
            await world.settle()
        return step.then not in ("now", "few")

    def flow(self) -> None:
        """Between two steps: what trickles comes a bit further, and what was felt is counted."""
        world = self._world
        for peer in world.peers:
            if peer.ill and peer.line is not None:
                self._flow(peer)
        if world.disk.felt > self._felt and self._store_fault:
            world.felt_by_all(self._store_fault)
            self._store_fault = ""
        self._felt = world.disk.felt

    def _flow(self, peer: Peer) -> None:
        line = peer.line
        assert line is not None
        if line.blocked and not peer.bit:
            peer.bit = True
            if isinstance(peer, Watcher):
                self._world.felt(peer.ill, peer)
        if peer.ill == "trickle":
            line.allow(min(60, (line.room or 0) + peer.dice.randrange(1, 40)))
            line.tick()
        elif peer.ill == "cut" and peer.bit:
            self._heal(peer)

    def _heal(self, peer: Peer) -> None:
        line = peer.line
        peer.ill = ""
        if line is not None:
            line.flow = None
            line.allow(None)
            line.tick()

    def heal_all(self) -> None:
        """Nothing is wrong with any stream, nor with the store."""
        for peer in self._world.peers:
            peer.back_at = min(peer.back_at, self._world.turn)
            if peer.ill:
                self._heal(peer)
        self._world.disk.heal()
        self._store_fault = ""

    # --- publishing ---------------------------------------------------------------------------------

    def _producer(self, step: Step) -> Producer:
        producers = self._world.producers
        return producers[step.who % len(producers)]

    def _publish(self, step: Step, dice: Random) -> None:
        project = self._world.projects[step.project]
        if step.what == "flood":
            wishes = self._watcher(step).wishes if self._world.watchers else ()
            wish = wishes[0] if wishes else STAR
            project = project if wish == STAR or wish.startswith(USER) else wish
        publishes, most = SIZES[step.what]
        for _ in range(publishes):
            self._producer(step).publish(project, some_events(dice, dice.randint(1, most)))

    def _again(self, step: Step, dice: Random) -> None:
        self._producer(step).again()

    def _wrong(self, step: Step, dice: Random) -> None:
        self._producer(step).wrong(step.what, self._world.projects[step.project])

    def _delete(self, step: Step, dice: Random) -> None:
        project = self._world.projects[step.project]
        if self._world.truth.head(project)[0]:
            self._world.felt_by_all("delete", project)
        self._producer(step).publish(project, some_events(dice, dice.randrange(2)) + the_end(project))
        if dice.random() < 0.6:
            self._producer(step).publish(project, some_events(dice, 3))

    def _foreign(self, step: Step, dice: Random) -> None:
        foreign = self._world.foreign
        if step.what == "listen":
            everybody = self._world.those(AutoGptWatcher)
            if among := [one for one in everybody if one.ill] or everybody:
                among[step.who % len(among)].listen(dice)
        elif step.what == "burst":
            for _ in range(dice.randint(2, 8)):
                dice.choice((foreign.execution, foreign.message))(dice)
        else:
            getattr(foreign, step.what)(dice)

    # --- watching -----------------------------------------------------------------------------------

    def _watcher(self, step: Step) -> Watcher:
        watchers = self._world.watchers
        return watchers[step.who % len(watchers)]

    def _ask(self, step: Step, dice: Random) -> None:
        natives = self._world.those(NativeWatcher)
        if step.what == "anew":
            watcher = self._watcher(step) if natives else None
            if isinstance(watcher, NativeWatcher):
                watcher.ask("plain", watcher.wishes[-1], None)
        elif natives:
            watcher = natives[step.who % len(natives)]
            star = STAR in watcher.wishes and dice.random() < 0.4
            project = STAR if star else self._world.projects[step.project]
            if not star and dice.random() < 0.15:
                project = f"{USER}{dice.choice(self._world.users)}"
            policy = dice.choice(CHOICES) if dice.random() < 0.1 else None
            watcher.ask(step.what, project, policy)

    def _rest(self, step: Step, dice: Random) -> None:
        """Nothing."""

    def _leave(self, step: Step, dice: Random) -> None:
        if self._world.watchers:
            watcher = self._watcher(step)
            watcher.drop()
            watcher.back_at = NEVER

    def _return(self, step: Step, dice: Random) -> None:
        if not self._world.watchers:
            return
        watcher = self._watcher(step)
        watcher.back_at = 0
        self._heal(watcher)
        if watcher.line is None:
            watcher.come_back()
        if watcher.line is not None:
            self._world.feel_trimming(watcher)
        if step.what == "narrow" and watcher.line is not None:
            watcher.ill = "stall"
            watcher.line.allow(dice.randrange(100, 900))

    # --- streams ------------------------------------------------------------------------------------

    def _patient(self, step: Step, dice: Random) -> Peer | None:
        """Whose stream suffers: mostly a watcher's."""
        world = self._world
        among: list[Peer] = list(world.producers) if dice.random() < 0.08 else list(world.watchers)
        found = among[step.who % len(among)] if among else None
        return None if found is None or found.line is None else found

    def _stall(self, step: Step, dice: Random) -> None:
        self._hold(step, dice, dice.choice((0, 0, 30, 700)))

    def _hold(self, step: Step, dice: Random, room: int) -> None:
        peer = self._patient(step, dice)
        if peer is not None and peer.line is not None and not peer.ill:
            peer.ill, peer.bit, peer.line.blocked = step.kind, False, 0
            peer.line.allow(room)

    def _trickle(self, step: Step, dice: Random) -> None:
        self._hold(step, dice, 20)
        peer = self._patient(step, Random(step.dice))
        if peer is not None and peer.line is not None and peer.ill == "trickle":
            peer.line.flow = dice.randint(1, 30)

    def _cut(self, step: Step, dice: Random) -> None:
        self._hold(step, dice, dice.randrange(1, 300))

    def _drop(self, step: Step, dice: Random) -> None:
        peer = self._patient(step, dice)
        if peer is not None:
            if isinstance(peer, Watcher):
                self._world.felt("drop", peer)
            peer.drop()

    def _half_close(self, step: Step, dice: Random) -> None:
        peer = self._patient(step, dice)
        if peer is not None and not peer.leaving:
            if isinstance(peer, Watcher):
                self._world.felt("half-close", peer)
            peer.half_close()

    def _well(self, step: Step, dice: Random) -> None:
        for peer in self._world.peers:
            if peer.ill and dice.random() < 0.7:
                self._heal(peer)

    # --- the store, the process, the clocks -----------------------------------------------------------

    def _store(self, step: Step, dice: Random) -> None:
        disk = self._world.disk
        disk.heal()
        self._store_fault = ""
        if step.what.startswith("crash-"):
            disk.crash = step.what.removeprefix("crash-")
            return
        self._store_fault = step.what
        if step.what == "slow":
            disk.delay = dice.choice((0.0, 0.05, 0.4))
            disk.delay_after = dice.choice((0.05, 0.3))
        else:
            disk.fails = FAILING[step.what]

    def _repair(self, step: Step, dice: Random) -> None:
        self._world.disk.heal()
        self._store_fault = ""

    def _kill(self, step: Step, dice: Random) -> None:
        self._world.felt_by_all("kill")
        self._world.process.kill()

    def _drain(self, step: Step, dice: Random) -> None:
        if not self._world.process.draining and self._world.process.accepts:
            self._world.felt_by_all("drain")
            self._world.process.stop()

    def _clock(self, step: Step, dice: Random) -> None:
        self._world.felt_by_all("clock")
        self._world.clock.jump(dice.choice((2.0, 15.0, 120.0)))
        self._world.jumped = self._world.clock.current_time()

    def _wall(self, step: Step, dice: Random) -> None:
        self._world.felt_by_all("wall")
        before = self._world.wall()
        self._world.offset += round(dice.choice((-100_000, -60, 60, 30_000)) * 1_000_000)
        self._world.interactions.jumped(before)
