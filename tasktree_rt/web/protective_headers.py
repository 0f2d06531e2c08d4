"""Headers that keep a response from other pages; every response of the hub has them.

They protect in the browser, also where it sends no ``Sec-Fetch-Site`` (`web.auth.origins`). Pages have a
Content-Security-Policy of their own. The hub sets no ``Cross-Origin-Embedder-Policy``: that would let a page
measure time more exactly, which the dashboard does not need, and the pages' policy allows only the hub's own
files anyway.
"""

from __future__ import annotations

from typing import Final

DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
"""The Content-Security-Policy of what is no page: opened by itself it loads and runs nothing."""
PROTECTIVE: Final = (
    ("Content-Security-Policy", DATA_POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)
