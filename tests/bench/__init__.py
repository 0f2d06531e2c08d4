"""Figures beside named peers, taken in one run: ``just bench``."""
