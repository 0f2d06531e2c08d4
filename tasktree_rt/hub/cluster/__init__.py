"""Hubs that share a store behave as one: each follows what the others append."""
