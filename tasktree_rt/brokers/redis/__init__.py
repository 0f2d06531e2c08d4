"""A connection to Redis, and subscriptions to its channels, on one server or a cluster."""
