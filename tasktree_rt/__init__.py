"""A real-time hub: orchestrators push what happens in a task tree, every watcher sees it at once."""

__version__ = "0.1.0"
