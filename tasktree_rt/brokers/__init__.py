"""Stores of logs: `base` is the contract, `memory` and `sqlite` keep it."""
