"""The composition root of a hub: its store, its languages, the foreign systems; for `cli` and `asgi`."""
