"""Tests. Every folder below is imported as ``tests.…``; only this one needs an ``__init__``."""
