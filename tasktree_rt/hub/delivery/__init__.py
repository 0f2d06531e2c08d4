"""Deliver: the fan-out, one outbox for each connection, subscriptions, back-pressure, keepalive."""
