"""The systemd unit: what systemd says of it, and a hub that runs under its rules.

There is no systemd to start services here. So the hub runs in `tests.sandbox`, which has the rules that a
hub could break on: system calls, address families, memory, a read-only file system, another user.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.cli.processes import CODE, PATIENCE, address_in, environment
from tests.sandbox import NOBODY, allowed, enclosed, values

UNIT: Final = Path(__file__).parent.parent / "deploy" / "systemd" / "tasktree-rt.service"
TEXT: Final = UNIT.read_text()
MOST: Final = 1.5
"""The most exposure that the unit may have, as systemd counts it."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make the sandbox")


@needs_systemd
def test_the_exposure_of_the_unit_is_small() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)]
    said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE).stdout
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", said)
    assert found is not None, said
    assert float(found[1]) <= MOST, said


def test_the_unit_reloads_by_sighup_and_stops_later_than_the_hub() -> None:
    from tasktree_rt.settings import Drain

    assert values(TEXT, "ExecReload") == ["/bin/kill -HUP $MAINPID"]
    assert int(values(TEXT, "TimeoutStopSec")[0]) > Drain().timeout


@contextmanager
def sandboxed(folder: Path, *flags: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A hub under the unit's rules, and its address."""
    os.chown(folder, NOBODY, NOBODY)
    arguments = ["serve", "--bind", "127.0.0.1:0", "--store", f"sqlite:{folder}/hub.db", *flags]
    command = enclosed(UNIT, folder, [sys.executable, "-c", CODE, *arguments])
    given = {**environment(folder), **variables}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=given)
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "listening" in line, process.communicate(timeout=PATIENCE)[1]
            yield process, address_in(line)
        finally:
            process.kill()


def node(number: int) -> dict[str, object]:
    return {"type": "node_update", "data": {"node_id": "n", "changes": {"number": number}}}


@needs_systemd
@needs_root
def test_a_hub_runs_under_the_rules_of_the_unit_reloads_drains_and_loses_nothing(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = tmp_path / "key.pem"
    pem.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    claims = {"sub": "ada", "exp": time.time() + 600, "tasktree": {"watch": ["*"], "push": ["*"]}}
    shown = {"Authorization": f"Bearer {jwt.encode(claims, key, 'ES256')}"}
    for number in (1, 2):
        with sandboxed(tmp_path, TASKTREE_RT_AUTH_PUBLIC_KEYS=str(pem)) as (process, url):
            with httpx.Client(base_url=url, headers=shown, timeout=PATIENCE) as http:
                answer = http.post("/api/v1/projects/p/events", json=node(number))
                assert answer.status_code == 200, answer.text
                process.send_signal(signal.SIGHUP)
                state = http.get("/api/v1/projects/p/state").json()
                assert state["seq"] == number, state
            process.send_signal(signal.SIGTERM)
            _, error = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, error
            assert "running as root" not in error


@needs_systemd
@needs_root
def test_what_the_unit_forbids_fails_in_the_sandbox(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    os.chown(tmp_path, NOBODY, NOBODY)
    tries = (
        "open('/etc/evil', 'w')",
        "__import__('socket').socket(16, 3, 0)",
        "__import__('mmap').mmap(-1, 4096, prot=7)",
        "__import__('os').chroot('/')",
        "__import__('os').setuid(0)",
    )
    code = "\n".join(f"try:\n    {one}\nexcept OSError:\n    print('refused')" for one in tries)
    command = enclosed(UNIT, tmp_path, [sys.executable, "-c", code])
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.split() == ["refused"] * len(tries)


@needs_systemd
def test_the_filter_allows_what_a_hub_needs_and_nothing_that_changes_the_machine() -> None:
    found = allowed(TEXT)
    assert {"epoll_wait", "accept4", "fdatasync", "sendmsg", "clone3", "execve"} <= found
    assert not {"mount", "ptrace", "bpf", "init_module", "reboot", "settimeofday", "setuid", "chroot"} & found
