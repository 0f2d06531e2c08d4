"""Prompts, commands and notifications: opened once, resolved exactly once."""
