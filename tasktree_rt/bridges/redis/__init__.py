"""Redis' pub/sub for the bridges: one connection, and what listens over it."""
