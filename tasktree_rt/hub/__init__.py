"""Who gets what, and when: the fan-out, the shed policies, resume."""
