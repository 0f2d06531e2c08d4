"""Redis: one connection, and channels heard over it, on one server or a cluster."""
