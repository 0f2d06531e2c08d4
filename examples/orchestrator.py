"""An orchestrator that publishes three steps of a build as they happen.  python orchestrator.py [URL]"""

import sys

import trio

from tasktree_rt.client import open_orchestrator


async def main(url: str) -> None:
    async with open_orchestrator(url, "example-orchestrator") as hub:
        await hub.node_update("example", "build", title="Build", status="running")
        for number, step in enumerate(("configure", "compile", "test")):
            await hub.node_update("example", step, parent_id="build", order=number, status="running")
            for progress in range(0, 101, 25):
                await hub.node_update("example", step, progress=progress)
                await trio.sleep(0.1)
            await hub.node_update("example", step, status="completed")
        receipt = await hub.node_update("example", "build", status="completed")
        print("done at position", (await receipt.acked()).positions[-1])


trio.run(main, sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
