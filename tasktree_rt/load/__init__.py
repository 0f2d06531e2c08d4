"""The load test: watchers by the thousand on any hub or broadcast server, every delivery reconciled."""
