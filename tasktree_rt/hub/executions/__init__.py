"""Executions as work: the queue, who may claim what, and the feed of their statuses."""
