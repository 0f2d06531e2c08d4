"""A model of who may do what: every verb, tokens, API keys, shared projects and branches, revocation, time.

Callers of every kind ask every surface, and watch. The model knows what each was given; whatever they are
answered or shown beyond it, or denied of it, is a fault. Planted faults must be found.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import trio
import trio.testing
from attrs import Factory, define, evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.core.access import OPEN, Grants, Scope, Verb
from tasktree_rt.core.branch import Branch
from tasktree_rt.core.events import Json, Record
from tasktree_rt.core.nodes import NO_CHANGE, Change
from tasktree_rt.core.protocol import Policy
from tasktree_rt.dialects.tasktree import Native
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.access import policy
from tasktree_rt.hub.access.revocations import Revocations
from tasktree_rt.hub.access.subscription_tokens import SubscriptionToken, SubscriptionTokens
from tasktree_rt.hub.delivery.subscriptions import Subscriptions
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.hub.projects.branch_view import BranchView
from tasktree_rt.hub.sessions.watcher import NativeSession
from tasktree_rt.web.app import create_app
from tasktree_rt.web.auth.authenticator import EXTENSION, Admission
from tests.hub.transport import Carried
from tests.hub.world import made, update
from tests.web.realhub import auth, signed
from tests.web.serving import small

PROJECTS: Final = ("a", "a-1", "b")
NODES: Final = ("n", "k", "m")
BRANCH, BELOW, ELSEWHERE = NODES
"""The node whose branch is shared, one below it, and one that is not in it."""
SHARED: Final = ("shared", "branch")
PATTERNS: Final = ("a", "a-*", "a*", "b", "*")
VERBS: Final = tuple(verb.value for verb in Verb)
SURFACES: Final[dict[str, tuple[str, str, Json | None]]] = {
    "watch": ("GET", "projects/{}/state", None),
    "history": ("GET", "projects/{}/events", None),
    "push": ("POST", "projects/{}/events", {"type": "x"}),
    "answer": ("POST", "prompts/q/answer?project_id={}", {"proceed": "no boolean"}),
    "command": ("POST", "projects/{}/commands", {"name": "stop"}),
    "delete": ("DELETE", "projects/{}/snapshots/none", None),
    "admin": ("GET", "stats", None),
}
"""One surface for each verb; tests/web/access_table.py has them all."""
REFUSED: Final = frozenset({"forbidden", "unauthorized"})
Given = dict[str, tuple[str, ...]]
Step = tuple[Any, ...]


@define(eq=False)
class Caller:
    """A credential, and what it was given.

    Attributes:
        given: patterns by verb; `admin` if it has any.
        revoke: what revokes it, as a body of ``/admin/revoke``.
        until: the hub's time in seconds at which it ends, or None.
        watched: by project, the time at which its subscription ends, or None; "" where its grants allow it.
        branch: of a shared branch: it is given the node and what is below, and nothing else of the project.
        branches: by project, the node whose branch it watches, None: all of it.
    """

    credential: str
    given: Given
    revoke: Json
    until: float | None = None
    revoked: bool = False
    carried: Carried | None = None
    session: NativeSession | None = None
    watched: dict[str, float | None] = Factory(dict)
    branch: str | None = None
    branches: dict[str, str | None] = Factory(dict)

    def may(self, verb: str, project: str) -> bool:
        if verb == "admin":
            return bool(self.given.get("admin"))
        found = self.given.get(verb, ())
        return any(project.startswith(one[:-1]) if one[-1] == "*" else project == one for one in found)


def rights(claim: Json) -> Given:
    """What a claim grants, by the documents' words."""
    given: Given = {verb: tuple(claim.get(verb, ())) for verb in ("watch", "push", "answer", "command")}
    given["admin"] = ("*",) if claim.get("admin") else ()
    given["history"] = tuple(claim["history"]) if "history" in claim else given["watch"]
    otherwise = ("*",) if claim.get("admin") else given["push"]
    given["delete"] = tuple(claim["delete"]) if "delete" in claim else otherwise
    return given


class Estate:
    """A hub, its app without a socket, and the callers."""

    def __init__(self, hub: Hub, nursery: trio.Nursery) -> None:
        self.hub = hub
        self.app = create_app(hub.settings, hub)
        self.http = self.app.test_client()
        self.admission: Admission = self.app.extensions[EXTENSION]
        self.nursery = nursery
        self.callers: list[Caller] = []
        self.now = hub.wall()
        self.marks = 0
        self.elsewhere: list[str] = []
        """Marks of nodes that are in no shared branch."""
        hub.context.wall = lambda: self.now

    def seconds(self) -> float:
        return self.now / 1_000_000

    def alive(self, one: Caller) -> bool:
        return not one.revoked and (one.until is None or self.seconds() < one.until)

    # --- callers ----------------------------------------------------------------------------------

    async def join(self, kind: str, claim: Json, project: str) -> None:
        name = f"u{len(self.callers)}"
        if kind == "token":
            claims = {"sub": name, "jti": name, "tasktree": claim}
            found = Caller(
                signed({**claims, "exp": int(self.seconds()) + 86_400}), rights(claim), {"token_id": name}
            )
        elif kind == "key":
            made_key = await self.hub.administration.create_key(OPEN, name, {"answer": ["none"], **claim})
            found = Caller(made_key.credential, rights(claim), {"key": made_key.key.id})
        else:
            history = bool(claim.get("history"))
            node = BRANCH if kind == "branch" else None
            token = self.hub.subscription_tokens.mint(project, lifetime=60, history=history, node_id=node)
            read = self.hub.subscription_tokens.read(token)
            mine: Given = {"watch": (project,), "history": (project,) if history else ()}
            found = Caller(token, mine, {"token_id": read.token_id}, until=read.until, branch=node)
        self.callers.append(found)

    async def revoke(self, one: Caller) -> None:
        administration, what = self.hub.administration, one.revoke
        if "key" in what:
            await administration.revoke_key(OPEN, what["key"])
        else:
            await administration.revoke_token(OPEN, what["token_id"])
        one.revoked = True
        for other in self.callers:
            other.watched = {} if other.revoked else other.watched

    # --- what is asked ----------------------------------------------------------------------------

    async def ask(self, one: Caller, verb: str, project: str) -> None:
        method, path, body = SURFACES[verb]
        headers = {"Authorization": f"Bearer {one.credential}", "Host": "localhost"}
        answer = await self.http.open(
            f"/api/v1/{path.format(project)}", method=method, headers=headers, json=body
        )
        said = json.loads(text := str(await answer.get_data(as_text=True)))
        assert one.branch is None or not any(mark in text for mark in self.elsewhere), (verb, text)
        code = said.get("code") if answer.status_code >= 400 else None
        if not self.alive(one):
            assert answer.status_code == 401, (verb, project, said)
            return
        hidden = verb == "answer" and code == "not_found"
        refused = code in REFUSED or hidden
        assert refused != one.may(verb, project), (verb, project, one.given, said)
        assert answer.status_code != 401, said

    # --- what is shown ----------------------------------------------------------------------------

    async def connect(self, one: Caller) -> None:
        try:
            grants = await self.admission.authenticate(one.credential, address="")
        except PeerError:
            assert not self.alive(one)
            return
        assert self.alive(one)
        one.session = NativeSession(
            self.hub,
            Native(),
            (),
            grants=grants,
            policy=Policy.CONFLATE,
            authenticate=self.admission.authenticate,
        )
        one.carried, one.watched = Carried(one.session, self.nursery), {}

    async def subscribe(self, one: Caller, project: str, token: str | None = None) -> None:
        """By its own grants, or by a subscription token that may be another project's."""
        if one.carried is None or not self.alive(one):
            return
        one.carried.received()
        request = {"type": "subscribe", "project_id": project, "id": 1}
        one.carried.send(request if token is None else {**request, "token": token})
        await trio.testing.wait_all_tasks_blocked()
        said = [frame for frame in one.carried.received() if frame.get("id") == 1]
        if not said:
            return  # the connection is over
        until, branch = None, one.branch
        allowed = one.may("watch", project)
        if not allowed and one.watched.get(project) is not None:  # by a token shown before, until it ends
            allowed, until, branch = True, one.watched[project], one.branches.get(project)
        if token is not None:
            try:
                read = self.hub.subscription_tokens.read(token)
                allowed, until, branch = read.project_id == project, read.until, read.node_id
            except PeerError:
                allowed = False
        assert (said[0]["type"] == "subscribed") == allowed, (project, one.given, said)
        if not allowed:
            return
        whole = one.may("watch", project) and one.branch is None
        # A lease of the whole project that has not ended yet stays in force beside one of a branch.
        if one.watched.get(project) is not None and one.branches.get(project, "") is None:
            whole, until = (
                True,
                max(one.watched[project] or 0, until or 0) if branch is None else one.watched[project],
            )
        one.branches[project] = None if whole else branch
        one.watched[project] = None if one.may("watch", project) else until

    async def publish(self, project: str, node: str = BRANCH) -> None:
        """Every caller that may see it now is shown it, and no other."""
        self.marks += 1
        mark = f"<<{self.marks}>>"
        if node == ELSEWHERE:
            self.elsewhere.append(mark)
        await self.hub.publish(made(project, update(node, title=mark)))
        await trio.testing.wait_all_tasks_blocked()
        for one in self.callers:
            if one.carried is None:
                continue
            shown = mark in json.dumps(one.carried.received())
            part = one.branches.get(project)
            expected = self.alive(one) and project in one.watched and (part is None or node != ELSEWHERE)
            assert shown == expected, (project, node, one.given, one.watched, one.branches)

    async def pass_time(self, seconds: int) -> None:
        """Time goes on, and the hub looks after its connections."""
        self.now += seconds * 1_000_000
        for one in self.callers:
            if one.session is not None and one.session in self.hub.sessions:
                one.session.tend(trio.current_time(), self.seconds())
            one.watched = {
                name: until for name, until in one.watched.items() if until is None or self.seconds() < until
            }
        await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def an_estate() -> AsyncIterator[Estate]:
    async with trio.open_nursery() as nursery:
        async with open_hub(MemoryBroker(), small(auth=auth())) as hub:
            for name in PROJECTS:
                below = update(BELOW, parent_id=BRANCH)
                await hub.publish(made(name, update(BRANCH), below, update(ELSEWHERE)))
                await hub.prompts.ask({"project_id": name, "prompt_id": "q", "message": "?"}, grants=OPEN)
            yield Estate(hub, nursery)
        nursery.cancel_scope.cancel()


async def take(estate: Estate, step: Step) -> None:
    kind, number, *rest = step
    if kind == "join":
        await estate.join(*rest)
    elif kind == "publish":
        await estate.publish(*rest)
    elif kind == "time":
        await estate.pass_time(rest[0])
    elif estate.callers:
        one = estate.callers[number % len(estate.callers)]
        match kind:
            case "ask":
                await estate.ask(one, *rest)
            case "connect":
                await estate.connect(one)
            case "subscribe":
                await estate.subscribe(one, rest[0])
            case "share":
                token = estate.hub.subscription_tokens.mint(rest[1], lifetime=rest[2], node_id=rest[3])
                await estate.subscribe(one, rest[0], token)
            case "revoke" if not one.revoked:
                await estate.revoke(one)


async def play(steps: list[Step]) -> None:
    async with an_estate() as estate:
        for step in steps:
            await take(estate, step)


def thorough() -> list[Step]:
    """Callers of every kind, each with one verb; each asks everything, watches, and is revoked."""
    claims: list[Json] = [{"history": [], "delete": [], verb: ["a"]} for verb in VERBS]
    claims += [{"watch": ["a-*"]}, {"push": ["a*"]}, {"admin": True, "history": []}, {"watch": ["a", "b"]}]
    joins: list[Step] = [("join", 0, "token", claim, "a") for claim in claims]
    joins += [("join", 0, "key", {"watch": ["a"], "history": []}, "a")]
    joins += [("join", 0, kind, {"history": how}, "a") for kind in SHARED for how in ((), ("a",))]
    numbers = range(len(joins))
    asks: list[Step] = [("ask", one, verb, name) for one in numbers for verb in SURFACES for name in PROJECTS]
    watches: list[Step] = [("connect", one) for one in numbers]
    watches += [("subscribe", one, name) for one in numbers for name in PROJECTS]
    none = len(claims) - 2  # an administrator, who watches nothing
    shares: list[Step] = [("share", none, name, other, 30, None) for name in ("a", "b") for other in PROJECTS]
    shares += [("share", none + 1, "a-1", other, 30, BRANCH) for other in PROJECTS]
    published: list[Step] = [("publish", 0, name, node) for name in PROJECTS for node in NODES]
    ends = [("time", 0, 31), *published, ("time", 0, 31), *published]
    revoked = [("revoke", one) for one in numbers]
    last = [("ask", one, "watch", "a") for one in numbers]
    return [*joins, *published, *asks, *watches, *shares, *published, *ends, *revoked, *published, *last]


def test_every_caller_is_answered_and_shown_what_it_was_given_and_no_more() -> None:
    trio.run(play, thorough())


CLAIM: Final = st.dictionaries(
    st.sampled_from(VERBS), st.lists(st.sampled_from(PATTERNS), max_size=2), max_size=4
).map(dict[str, Any])
NAME: Final = st.sampled_from(PROJECTS)
WHO: Final = st.integers(0, 9)
STEPS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("join"), WHO, st.sampled_from(["token", *SHARED]), CLAIM, NAME),
        st.tuples(st.just("ask"), WHO, st.sampled_from(sorted(SURFACES)), NAME),
        st.tuples(st.just("connect"), WHO),
        st.tuples(st.just("subscribe"), WHO, NAME),
        st.tuples(
            st.just("share"), WHO, NAME, NAME, st.sampled_from([30, 90]), st.sampled_from([None, BRANCH])
        ),
        st.tuples(st.just("publish"), WHO, NAME, st.sampled_from(NODES)),
        st.tuples(st.just("time"), WHO, st.sampled_from([1, 40])),
        st.tuples(st.just("revoke"), WHO),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=40)
@given(STEPS)
def test_no_schedule_gives_a_caller_more_or_less_than_it_was_given(steps: list[Step]) -> None:
    trio.run(play, [("join", 0, "token", {"watch": ["a"]}, "a"), ("connect", 0), *steps])


# --- planted faults ---------------------------------------------------------------------------------


def history_is_watch(self: Grants, verb: Verb) -> Scope:
    return _SCOPE(self, Verb.WATCH if verb is Verb.HISTORY else verb)


def delete_is_push(self: Grants, verb: Verb) -> Scope:
    return _SCOPE(self, Verb.PUSH if verb is Verb.DELETE else verb)


def every_name_is_a_prefix(self: Scope, project_id: str) -> bool:
    return any(project_id.startswith(one.rstrip("*")) for one in self.patterns)


def a_star_is_forgotten(self: Scope, project_id: str) -> bool:
    return "*" in self.patterns or project_id in self.patterns


def any_project(self: SubscriptionTokens, token: str, project_id: str) -> SubscriptionToken:
    return evolve(self.read(token), project_id=project_id)


def whole_project(self: SubscriptionToken) -> str:
    return self.project_id


def everything_passes(self: BranchView, record: Record, change: Change, new: Any) -> None:
    self._give(record, record.body, NO_CHANGE)


def always_history(self: SubscriptionToken) -> Grants:
    return evolve(_GRANTS(self), history=Scope((self.project_id,)))


def watchers_answer(grants: Grants, topics: Any) -> bool:
    return policy.may(grants, Verb.WATCH, topics[0])


_SCOPE: Final = Grants.scope
_GRANTS: Final[Callable[[SubscriptionToken], Grants]] = SubscriptionToken.grants.fget  # type: ignore[attr-defined]
FAULTS: Final[dict[str, tuple[Any, str, Any]]] = {
    "history is watch": (Grants, "scope", history_is_watch),
    "delete is push": (Grants, "scope", delete_is_push),
    "a name is a prefix": (Scope, "covers", every_name_is_a_prefix),
    "a prefix is a name": (Scope, "covers", a_star_is_forgotten),
    "everything is allowed": (policy, "may", lambda grants, verb, topic: True),
    "who watches answers": (policy, "may_answer", watchers_answer),
    "administrators are all": (policy, "require_admin", lambda grants: None),
    "nothing is revoked": (Revocations, "reason", lambda self, grants: None),
    "a token is for any project": (SubscriptionTokens, "for_project", any_project),
    "a shared project has its past": (SubscriptionToken, "grants", property(always_history)),
    "a branch is its project": (SubscriptionToken, "topic", property(whole_project)),
    "a branch passes on everything": (BranchView, "apply", everything_passes),
    "a branch has every node": (Branch, "__contains__", lambda self, node_id: True),
    "a branch's past is its project's": (BranchView, "past", lambda self, record: record),
    "a lease never ends": (Subscriptions, "end_leases", lambda self, subscriber, wall: False),
    "a lease is forgotten": (Grants, "_leased", lambda self, verb, project_id: False),
}


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_planted_fault_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, attribute, fault = FAULTS[name]
    monkeypatch.setattr(owner, attribute, fault)
    with pytest.raises((AssertionError, BaseExceptionGroup)) as found:
        trio.run(play, thorough())
    assert "AssertionError" in repr(found.value)
