"""Load tests of a hub that asks for tokens, and of one behind TLS."""

from __future__ import annotations

import pytest
import trio

from tasktree_rt.errors import ClientError
from tasktree_rt.load.conduct import Conductor
from tasktree_rt.load.plan import read_plan
from tasktree_rt.load.report import report
from tasktree_rt.load.target import resolve
from tests.cli.processes import PATIENCE
from tests.load.running import QUICK
from tests.secure import client_context, secure
from tests.server.process import hub_process
from tests.web.realhub import auth, real_hub, token


@pytest.mark.parametrize("dialect", ["tasktree.v1", "plain", "sse", "execution", "aiecs"])
async def test_each_watcher_shows_a_token(dialect: str) -> None:
    tokens = tuple(token(subject=name, push=["*"], watch=["*"]) for name in ("ada", "bob"))
    async with real_hub(auth=auth()) as hub:
        plan = read_plan({**QUICK, "dialect": dialect})
        with trio.fail_after(PATIENCE):
            outcome = await Conductor(plan, resolve(hub.url, tokens=tokens), lambda phase, sample: None).run()
    assert not outcome.tally.faults, outcome.tally.examples
    assert outcome.tally.counts["delivered"] > 0
    assert not outcome.tally.errors


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ((), "the hub refuses the token"),
        (("nonsense",), "the hub refuses the token"),
        ((token(push=["other"], watch=["*"]),), "event 0 was not accepted: forbidden"),
        ((token(push=["*"], watch=["other"]),), "none of 20 watchers could connect: "),
    ],
)
async def test_a_token_that_does_not_allow_the_test_is_named_before_it(
    tokens: tuple[str, ...], message: str
) -> None:
    async with real_hub(auth=auth()) as hub:
        conductor = Conductor(read_plan(QUICK), resolve(hub.url, tokens=tokens), lambda phase, sample: None)
        with trio.fail_after(PATIENCE), pytest.raises((ClientError, BaseExceptionGroup)) as caught:
            await conductor.run()
    (reason,) = _leaves(caught.value)
    assert isinstance(reason, ClientError)
    assert message in str(reason)


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]


async def test_deliveries_over_tls_are_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secure, "on", True)
    async with hub_process(tmp_path_factory.mktemp("hub")) as hub:
        plan = read_plan({**QUICK, "dialect": "tasktree.v1:2,plain:1,sse:1", "slow": 0.1, "churn": 10})
        target = resolve(hub.url, context=client_context())
        with trio.fail_after(PATIENCE):
            found = report(await Conductor(plan, target, lambda phase, sample: None).run())
    assert not any(found["faults"].values()), found["examples"]
    assert found["counts"]["reconciled"] == 20
