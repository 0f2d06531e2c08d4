"""Publish: check, reduce, commit in groups, and answer each publish id once."""
