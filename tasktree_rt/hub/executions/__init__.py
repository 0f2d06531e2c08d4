"""Executions as work: the queue, the preconditions of a claim, and the feed of their statuses."""
