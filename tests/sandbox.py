"""Run a command under the rules of a systemd unit, as far as they go without systemd.

The command runs as another user without capabilities (but one to read files, since this Python may be in a
home folder), with a read-only file system but for its working folder, without new privileges, and with the
unit's filter of system calls, its address families, and no memory that is both writable and executable.
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

EPERM: Final = 1
ALLOW: Final = 0x7FFF0000
REFUSE: Final = 0x00050000 | EPERM
EQUAL: Final = 4
PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_MDWE: Final = 65
FAMILIES: Final = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
NOBODY: Final = 65534
READS: Final = "+dac_read_search"
SHELL: Final = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -o remount,ro,bind /
cd "$1"; shift
exec "$@"
"""


class _Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp`` of libseccomp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


def values(unit: str, name: str) -> list[str]:
    """Every value of a setting of the unit, in order."""
    return re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)


def calls(names: list[str]) -> set[str]:
    """The system calls in these groups, as systemd knows them."""
    found: set[str] = set()
    for name in names:
        if not name.startswith("@"):
            found.add(name)
            continue
        shown = subprocess.run(
            ["systemd-analyze", "syscall-filter", "--no-pager", name],
            check=True,
            capture_output=True,
            text=True,
        )
        lines = [line.strip() for line in shown.stdout.splitlines()[1:]]
        found |= calls([line for line in lines if line and not line.startswith("#")])
    return found


def allowed(unit: str) -> set[str]:
    """The system calls that the unit allows."""
    found: set[str] = calls(["@default"])
    for value in values(unit, "SystemCallFilter"):
        found = found - calls(value[1:].split()) if value.startswith("~") else found | calls(value.split())
    return found


def load_filter(names: set[str], families: list[str]) -> None:
    """Let this process, and what it becomes, make these system calls only."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(REFUSE))
    for name in names - {"socket"}:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            assert library.seccomp_rule_add_array(context, ALLOW, number, 0, None) == 0, name
    socket = library.seccomp_syscall_resolve_name(b"socket")
    for family in families:
        rule = _Comparison(0, EQUAL, FAMILIES[family], 0)
        assert library.seccomp_rule_add_array(context, ALLOW, socket, 1, ctypes.byref(rule)) == 0
    assert library.seccomp_load(context) == 0


def main(unit: str, command: list[str]) -> None:
    """Become `command` under the unit's rules."""
    text = Path(unit).read_text()
    names = allowed(text)
    libc = ctypes.CDLL(None, use_errno=True)
    os.umask(int(values(text, "UMask")[0], 8))
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    if values(text, "MemoryDenyWriteExecute") == ["yes"]:
        assert libc.prctl(PR_SET_MDWE, 1, 0, 0, 0) == 0
    load_filter(names, values(text, "RestrictAddressFamilies")[0].split())
    os.execvp(command[0], command)  # noqa: S606 - there is no shell on purpose


def enclosed(unit: Path, folder: Path, command: list[str]) -> list[str]:
    """The command line that runs `command` in the sandbox, in `folder`; needs root."""
    user = [
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "--bounding-set=-all" + READS.replace("+", ",+"),
    ]
    user += [f"--inh-caps={READS}", f"--ambient-caps={READS}"]
    inner = [*user, sys.executable, __file__, str(unit), *command]
    return ["unshare", "--mount", "sh", "-c", SHELL, "sh", str(folder), *inner]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
