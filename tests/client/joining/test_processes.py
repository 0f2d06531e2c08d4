"""Programs of several processes in one tree, and what becomes of their last words."""

from __future__ import annotations

import subprocess
import sys

from tests.client.joining.programs import ROOT, ran
from tests.client.running import nodes
from tests.web.realhub import real_hub

ONLY = """
import sys
before = {name.partition(".")[0] for name in sys.modules}
from tasktree_rt.client import join
from tasktree_rt.client.joining import Open, carry
joined = join("p", hub="http://127.0.0.1:9", exit_timeout=0.2)
joined.node("n", title="N").complete()
joined.flush(0.1)
loaded = {name.partition(".")[0] for name in sys.modules} - before
print(sorted(loaded - sys.stdlib_module_names - {"tasktree_rt"}))
print([name for name in ("http.client", "trio", "attrs", "httpx") if name in sys.modules])
"""


def test_joining_loads_the_standard_library_only() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ONLY],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ROOT, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stdout.splitlines() == ["[]", "['http.client']"]


async def test_the_end_of_a_program_sends_its_last_words() -> None:
    code = """
    import sys
    from tasktree_rt.client.joining import join
    joined = join(exit_timeout=60)
    with joined.node("main"):
        sys.exit(0)
    """
    async with real_hub(lifecycle="enforce") as running:
        assert await ran(code, running.url) == (0, "")
        assert (await nodes(running))["main"]["status"] == "completed"


async def test_what_forked_children_say_arrives_however_they_end() -> None:
    code = """
    import multiprocessing, os, sys
    from tasktree_rt.client.joining import join
    joined = join(exit_timeout=60)

    def work(name):
        joined.node(name).complete()

    if __name__ == "__main__":
        above = joined.node("above")
        for number in range(100):
            above.log(number)  # what waits here is the parent's to send
        pid = os.fork()
        if not pid:
            work("by os.fork")
            joined.flush(60)
            os._exit(0)
        os.waitpid(pid, 0)
        pid = os.fork()
        if not pid:
            work("by os.fork and sys.exit")
            sys.exit(0)
        os.waitpid(pid, 0)
        child = multiprocessing.get_context("fork").Process(target=work, args=["forked"])
        child.start()
        child.join()
        os.environ.update(joined.environment(above))
        above.complete()
    """
    async with real_hub(lifecycle="enforce") as running:
        assert await ran(code, running.url) == (0, "")
        found = await nodes(running)
        state = await running.hub.state("p")
    assert {name: one["status"] for name, one in found.items()} == {
        "above": "completed",
        "by os.fork": "completed",
        "by os.fork and sys.exit": "completed",
        "forked": "completed",
    }
    assert state.seq < 120  # no child repeated the parent's lines


async def test_a_spawned_process_and_a_program_started_by_hand_join_under_the_parent() -> None:
    code = """
    import multiprocessing, os, subprocess, sys
    from tasktree_rt.client.joining import join
    from tests.client.joining.spawned import work
    joined = join(exit_timeout=60)
    BY_HAND = "from tasktree_rt.client.joining import join; join(exit_timeout=60).node('by hand').complete()"
    with joined.node("above"):
        os.environ.update(joined.environment())
        subprocess.run([sys.executable, "-c", BY_HAND], check=True)
        child = multiprocessing.get_context("spawn").Process(target=work, args=["spawned"])
        child.start()
        child.join()
    """
    async with real_hub(lifecycle="enforce") as running:
        assert await ran(code, running.url) == (0, "")
        found = await nodes(running)
    for name in ("by hand", "spawned"):
        assert (found[name]["parent_id"], found[name]["status"]) == ("above", "completed")


async def test_a_fork_while_an_answer_is_read_hangs_nothing() -> None:
    """The thread that reads the answer has a lock, which in the child is held for ever."""
    code = """
    import os, socket, sys, traceback
    from tasktree_rt.client.joining import join

    def reads_the_body():
        stacks = [traceback.extract_stack(frame) for frame in sys._current_frames().values()]
        named = [[one.name for one in stack] for stack in stacks]
        return any(stack[-1] == "readinto" and "begin" not in stack for stack in named)

    server = socket.create_server(("127.0.0.1", 0))
    joined = join("p", hub="http://127.0.0.1:{}".format(server.getsockname()[1]))
    joined.node("n")
    peer, _ = server.accept()
    peer.recv(1)
    peer.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 9\\r\\n\\r\\n{")
    while not reads_the_body():
        os.sched_yield()
    pid = os.fork()
    if not pid:
        joined.node("child")
        os._exit(0)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    assert await ran(code, "") == (0, "")


async def test_a_fork_while_other_threads_speak_hangs_nothing() -> None:
    code = """
    import os, threading, time
    from tasktree_rt.client.joining import join
    joined = join(exit_timeout=60)
    stop = threading.Event()
    step = joined.node("n")

    def speak():
        while not stop.wait(0.001):  # what it says is merged: it takes the locks, and costs the hub little
            step.progress(7)

    threads = [threading.Thread(target=speak) for _ in range(3)]
    for one in threads:
        one.start()
    for number in range(5):
        pid = os.fork()
        if not pid:
            joined.node(f"child {number}").complete()
            os._exit(0 if joined.flush(100) else 1)
        assert os.waitpid(pid, 0)[1] == 0, number
    stop.set()
    for one in threads:
        one.join()
    """
    async with real_hub() as running:
        code_and_errors = await ran(code, running.url)
        found = await nodes(running)
    assert code_and_errors[0] == 0, code_and_errors[1]
    assert all(found[f"child {number}"]["status"] == "completed" for number in range(5))
