"""Writes the table of attacks into docs/security.md: ``python -m tests.attacks``."""

from tests.attacks.table import write

write()
