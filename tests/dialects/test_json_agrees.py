"""What the hub reads, a browser reads alike: its JSON.parse, asked of Node, is the judge."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from tasktree_rt.dialects.base import decode_json, encode_json
from tasktree_rt.errors import InvalidInput

CASES: dict[str, bytes] = {
    "NaN": b"[NaN]",
    "Infinity": b"[Infinity]",
    "-Infinity": b"[-Infinity]",
    "the same key twice": b'{"a":1,"b":0,"a":{"c":2}}',
    "a key that objects have": b'{"__proto__":1,"constructor":2}',
    "a lone high surrogate": b'["\\ud800"]',
    "a lone low surrogate": b'["\\udc00x"]',
    "surrogates the wrong way round": b'["\\udc00\\ud800"]',
    "a pair": b'["\\ud83d\\ude00"]',
    "a surrogate in UTF-8": b'["\xed\xa0\x80"]',
    "no UTF-8": b'["\xff"]',
    "NUL, escaped": b'["a\\u0000b"]',
    "NUL": b'["a\x00b"]',
    "a line break": b'["a\nb"]',
    "DEL and C1": b'["\x7f\xc2\x85\xe2\x80\xa8"]',
    "minus nothing": b"[-0]",
    "leading zero": b"[01]",
    "plus": b"[+1]",
    "no digit behind the point": b"[1.]",
    "too small": b"[1e-400]",
    "a comma too many": b"[1,]",
    "a comment": b"[1/**/]",
    "other spaces": b"[\xc2\xa01]",
    "a byte order mark": b"\xef\xbb\xbf[1]",
    "nothing": b"",
    "two values": b"[1][2]",
    "a large double": b"[1.7976931348623157e308]",
}
STRICTER = {"a lone high surrogate", "a lone low surrogate", "surrogates the wrong way round"}
"""JSON.parse takes these; but they are no Unicode, and no WebSocket could carry them on."""
SCRIPT = """
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const decoder = new TextDecoder("utf-8", {fatal: true, ignoreBOM: true});
const read = (hex) => {
  try { return {value: JSON.parse(decoder.decode(Buffer.from(hex, "hex")))}; } catch { return {}; }
};
const found = Object.entries(cases).map(([name, hex]) => [name, read(hex)]);
console.log(JSON.stringify(Object.fromEntries(found)));
"""


def read(text: bytes) -> dict[str, Any]:
    try:
        return {"value": decode_json(text)}
    except InvalidInput:
        return {}


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node here")
def test_a_browser_reads_what_the_hub_reads_and_what_it_sends_on() -> None:
    ours = {name: read(text) for name, text in CASES.items()}
    sent = {
        f"sent on: {name}": encode_json(found["value"]) for name, found in ours.items() if "value" in found
    }
    asked = json.dumps({name: text.hex() for name, text in {**CASES, **sent}.items()})
    done = subprocess.run(["node", "-e", SCRIPT], input=asked, capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout)
    for name in CASES.keys() - STRICTER:
        assert ours[name] == theirs[name], name
    for name in STRICTER:
        assert ours[name] == {}, name
    for name in sent:
        assert theirs[name] == ours[name.removeprefix("sent on: ")], name
