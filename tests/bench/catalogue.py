"""The peers by name: what they are, where they are installed, how they are started and spoken to."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.centrifugo import Centrifugo
from tests.bench.process import HOME, ROOT, Server
from tests.bench.wire import Nchan, SocketIo, Speech

PEERS_FOLDER = Path(__file__).with_name("peers")
OURS = "tasktree_rt"
CENTRIFUGO_PROGRAM = HOME / "centrifugo" / "centrifugo"
TLS_OWN, TLS_NGINX = "tls-own", "tls-nginx"
AGAINST = "against"
"""Ours in another checkout (``--against``)."""


class Missing(Exception):
    """A peer that is not installed; the reason is for people."""


@dataclass(frozen=True)
class Peer:
    """A server to be measured.

    Attributes:
        name: as in ``--only`` and in the raw figures.
        script: in the folder of peers.
        environment: the folder under ``.bench`` that it is installed in; empty: the system, or ours.
        needs: what must be importable there, or the program that must be there.
        checkout: the folder that it runs in.
        python: the interpreter that runs it, where it has no environment.
    """

    name: str
    label: str
    script: str
    environment: str = ""
    needs: str = ""
    arguments: tuple[str, ...] = ()
    speech: Speech = field(default_factory=Speech)
    checkout: Path = ROOT
    python: str = sys.executable

    @property
    def is_hub(self) -> bool:
        """Whether it is ours, of this checkout or of another."""
        return self.name in (OURS, AGAINST)

    def command(self) -> list[str]:
        """How to start it.

        Raises:
            Missing: it is not installed.
        """
        script = str(PEERS_FOLDER / self.script)
        if self.is_hub:
            return [self.python, "-m", "tests.bench.peers.hub"]
        if self.environment == "node":
            return self._node()
        if self.environment:
            return [str(self._python()), script, *self.arguments]
        if self.needs and shutil.which(self.needs) is None:
            raise Missing(f"{self.label}: no {Path(self.needs).name} on this machine")
        return [self.python, script, *self.arguments]

    def start(self, *, folder: Path | None = None, port: int = 0) -> Server:
        """Start it on the servers' core."""
        return Server(self.name, self.command(), folder=folder, port=port, checkout=self.checkout)

    def _python(self) -> Path:
        python = HOME / self.environment / "bin" / "python"
        if python.exists():
            return python
        if importlib.util.find_spec(self.needs) is None:
            raise Missing(f"{self.label}: not installed ({HOME.name}/{self.environment})")
        return Path(sys.executable)

    def _node(self) -> list[str]:
        node, home = shutil.which("node"), HOME / "node"
        if node is None or not (home / "node_modules").is_dir():
            raise Missing(
                f"{self.label}: no Node on this machine" if node is None else f"{self.label}: no packages"
            )
        return [node, str(home / self.script)]


_ALL = (
    Peer(OURS, "tasktree_rt", "hub.py"),
    Peer(
        "fastapi-uvloop", "FastAPI on uvicorn, uvloop", "fastapi_loop.py", "fastapi", "uvicorn", ("uvloop",)
    ),
    Peer(
        "fastapi-asyncio",
        "FastAPI on uvicorn, asyncio",
        "fastapi_loop.py",
        "fastapi",
        "uvicorn",
        ("asyncio",),
    ),
    Peer("websockets", "`websockets.broadcast`", "websockets_broadcast.py", "websockets", "websockets"),
    Peer("trio-websocket", "trio-websocket", "trio_loop.py", "trio-websocket", "trio_websocket"),
    Peer("node-ws", "Node `ws`", "node_ws.mjs", "node"),
    Peer("socketio", "python-socketio room", "socketio_room.py", "socketio", "socketio", speech=SocketIo()),
    Peer("nchan", "nginx with Nchan", "nchan.py", needs="nginx", speech=Nchan()),
    Peer(
        "centrifugo",
        "Centrifugo",
        "centrifugo.py",
        needs=str(CENTRIFUGO_PROGRAM),
        arguments=(str(CENTRIFUGO_PROGRAM),),
        speech=Centrifugo(),
    ),
    Peer(
        "websockets-deflate",
        "`websockets.broadcast`, compressing",
        "websockets_broadcast.py",
        "websockets",
        "websockets",
        ("deflate",),
    ),
    Peer(
        "centrifugo-deflate",
        "Centrifugo, compressing",
        "centrifugo.py",
        needs=str(CENTRIFUGO_PROGRAM),
        arguments=(str(CENTRIFUGO_PROGRAM), "deflate"),
        speech=Centrifugo(),
    ),
    Peer("bare-send", "bare loop of `socket.send`", "bare_send.py"),
    Peer(TLS_OWN, "tasktree_rt with TLS", "tls_hub.py", arguments=("own",)),
    Peer(TLS_NGINX, "tasktree_rt behind nginx with TLS", "tls_hub.py", needs="nginx", arguments=("nginx",)),
    Peer("redis", "Redis `XADD`, `appendfsync always`", "redis_stream.py", needs="redis-server"),
)
PEERS = {peer.name: peer for peer in _ALL}
FASTAPI = ("fastapi-uvloop", "fastapi-asyncio")
DEFLATING = ("websockets-deflate", "centrifugo-deflate")
WATCHED = tuple(name for name in PEERS if name not in ("redis", TLS_OWN, TLS_NGINX, *DEFLATING))
"""Those that have watchers."""
CONNECTED = tuple(name for name in WATCHED if name != "bare-send")
"""Those that are a server one would run."""
