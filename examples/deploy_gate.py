"""A deployment that asks a person first, and obeys the answer.  python deploy_gate.py [URL]"""

import logging
import sys

import trio

from tasktree_rt.client import NodeHandler, TrioRun, open_run

log = logging.getLogger("deploy")


async def deploy(run: TrioRun) -> None:
    for number, host in enumerate(("a.example.org", "b.example.org"), 1):
        with run.node(host, kind="host", order=number) as step:
            for percent in range(0, 101, 20):
                step.progress(percent)
                await trio.sleep(0.02)
            log.info("%s runs the new version", host)


async def main(url: str) -> int:
    logging.getLogger().addHandler(NodeHandler(logging.INFO))
    log.setLevel(logging.INFO)
    async with open_run(url, "deploy", title="Deploy the shop", fresh=True) as run:
        run.plan("deploy", title="To production", depends_on=["test"])
        with run.node("test", title="Tests", parent=None) as tests:
            tests.progress(50, "2 of 4")
        with run.node("gate", title="May it go out?") as gate:
            answer = await gate.ask(
                "Deploy to production?", options={"all": "Everywhere", "none": "Not today"}
            )
            gate.update(message=f"{answer.value} ({answer.how})")
        if not answer or answer.value == "none":
            print("not deployed")
            return 1
        with run.node("deploy"):
            await deploy(run)
    print("deployed")
    return 0


sys.exit(trio.run(main, sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"))
