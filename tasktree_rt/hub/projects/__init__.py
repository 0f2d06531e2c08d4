"""Projects in memory: the cache, summaries, checkpoints, retention, the directory."""
