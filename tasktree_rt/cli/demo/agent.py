"""``tasktree-rt demo --agent``: a run that looks like an agent's, with calls of a model and of tools.

A script stands in place of the model, so the demo needs no account and asks nobody else. Everything else is
real: the tools read the folder, a call fails because there is no such file and is tried again, a person is
asked, and each run is one of the series ``demo-agent``. The script's tokens are words, and its price is made
up.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio

from tasktree_rt.client import TrioRun, open_run
from tasktree_rt.client.run.trio_run import TrioNode
from tasktree_rt.core.events import Json

SERIES: Final = "demo-agent"
MODEL: Final = "script-in-place-of-a-model"
PRICE: Final = 0.00001
"""US dollars a token, made up."""
MOST_FILES: Final = 5_000
MOST_BYTES: Final = 32 * 1024
"""Of a file that the agent reads."""
COUNTED: Final = 40
"""Files whose lines the agent counts, the largest."""
SYSTEM: Final = "You look after a folder. Use the tools, and say what you found in Markdown."
TASK: Final = "Which is the largest Python file here, and what is in it?"

Message = dict[str, Any]


class _Agent:
    """One run: the conversation so far, and the nodes that it makes."""

    def __init__(self, run: TrioRun, root: Path, pause: float, patience: float) -> None:
        self._run = run
        self._patience = patience
        self._root = root
        self._pause = pause
        self._messages: list[Message] = [_said("system", SYSTEM), _said("user", TASK)]
        self._calls = 0
        self._order = 0

    async def work(self) -> None:
        """Plan, look, fail, look again, ask, and answer."""
        with self._run.node("agent", title="Look after the folder", kind="agent") as agent:
            found = await self._list()
            if not found:
                await self._model("Answer", "There is no Python file here.", None)
                return
            largest = max(found, key=lambda one: found[one])
            await self._read(largest)
            more = sorted(found, key=lambda one: -found[one])[:COUNTED]
            question = f"Count the lines of the {len(more)} largest files too?"
            if (await agent.ask(question, timeout=self._patience, default={"proceed": True})).proceed:
                lines = await self._count(more)
                await self._answer(
                    largest, f"The {len(more)} largest files have **{lines:,} lines** together."
                )
            else:
                await self._answer(largest, "The others were left alone.")

    async def _list(self) -> dict[str, int]:
        await self._model("Plan", "I will list the Python files first.", ("list_files", {"suffix": ".py"}))
        async with self._tool("list", "list_files", {"suffix": ".py"}) as answer:
            found = await trio.to_thread.run_sync(_python_files, self._root)
            answer["files"] = dict(sorted(found.items(), key=lambda one: -one[1])[:200])
        return found

    async def _read(self, path: str) -> None:
        """Read a file: first by its name alone, which the system refuses unless it is at the top."""
        name = os.path.basename(path)
        short = name if name != path else f"src/{name}"
        await self._model("Choose", f"The largest is `{path}`.", ("read_file", {"path": short}))
        try:
            await self._read_file(short)
        except OSError as error:
            call = ("read_file", {"path": path})
            await self._model("Correct", f"That failed: `{error.strerror}`. I try the whole path.", call)
            await self._read_file(path)

    async def _read_file(self, path: str) -> None:
        async with self._tool("read", "read_file", {"path": path}) as answer:
            answer["text"] = await trio.to_thread.run_sync(_text, self._root / path)

    async def _count(self, files: list[str]) -> int:
        await self._model("Delegate", "I count them one by one.", ("count_lines", {"files": len(files)}))
        total = 0
        with self._node("count", "Count the lines", kind="chain") as node:
            for number, path in enumerate(files, 1):
                async with self._tool(f"count-{number}", f"count_lines {path}", {"path": path}) as answer:
                    answer["lines"] = await trio.to_thread.run_sync(_lines, self._root / path)
                total += answer["lines"]
                node.progress(100 * number / len(files))
        return total

    def _node(self, node_id: str, title: str, **fields: Any) -> TrioNode:
        """Make a node behind all nodes of before."""
        self._order += 1
        return self._run.node(node_id, title=title, order=self._order, **fields)

    async def _answer(self, path: str, more: str) -> None:
        text = f"## The largest Python file\n\n`{path}`\n\n- it was **read** as it is on disk\n- {more}\n"
        await self._model("Answer", text, None)

    async def _model(self, title: str, text: str, call: tuple[str, Json] | None) -> None:
        """One call of the script: what was said so far goes in, its text and the call of a tool come out."""
        self._calls += 1
        parts: list[Json] = [{"type": "text", "content": text}]
        if call is not None:
            parts.append(
                {"type": "tool_call", "id": f"c{self._calls}", "name": call[0], "arguments": call[1]}
            )
        answer = {"role": "assistant", "parts": parts}
        asked = list(self._messages)
        node = self._node(f"llm-{self._calls}", title, kind="llm", model=MODEL, input=asked)
        async with node:
            await trio.sleep(self._pause)
            taken, given = _words(asked), _words([answer])
            node.update(output=[answer])
            node.usage(input_tokens=taken, output_tokens=given, cost_usd=PRICE * (taken + given))
        self._messages.append(answer)

    @asynccontextmanager
    async def _tool(self, node_id: str, title: str, given: Json) -> AsyncIterator[Json]:
        """One call of a tool. The block fills what it answers; an exception is what it answers too."""
        answer: Json = {}
        node = self._node(node_id, title, kind="tool", input=given)
        try:
            async with node:
                await trio.sleep(self._pause / 2)
                yield answer
                node.update(output=answer)
        except OSError as error:
            answer["error"] = str(error)
            raise
        finally:
            part = {"type": "tool_call_response", "id": f"c{self._calls}", "response": answer}
            self._messages.append({"role": "tool", "parts": [part]})


async def agent_run(
    url: str, project: str, root: Path, *, pace: float | None, patience: float, access: Json
) -> None:
    """Do one run and publish it to the hub at `url`.

    Args:
        pace: events per second; None for one that a person can follow.
        patience: seconds for which a person is asked; without an answer the agent goes on.
        access: what `open_run` needs of a token and of TLS.

    Raises:
        ClientError: the hub refuses the run, or is away for long.
    """
    number = int(time.time())
    title = f"Agent in {root.name}"
    # A call of the model makes about four events.
    pause = 4 / pace if pace else 0.8
    async with open_run(
        url, f"{project}-agent-{number}", title=title, series=SERIES, number=number, **access
    ) as run:
        await _Agent(run, root, pause, patience).work()


def _said(role: str, text: str) -> Message:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _words(messages: list[Message]) -> int:
    return len(str(messages).split())


def _python_files(root: Path) -> dict[str, int]:
    """Sizes of the Python files below a folder by their paths, at most `MOST_FILES`."""
    found: dict[str, int] = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).parts
        if any(part.startswith(".") or part == "node_modules" for part in parts) or path.is_symlink():
            continue
        if not path.is_file():
            continue
        found[path.relative_to(root).as_posix()] = path.stat().st_size
        if len(found) == MOST_FILES:
            break
    return found


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MOST_BYTES).decode("utf-8", "replace")


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)
