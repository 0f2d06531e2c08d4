"""Rules of events, logs and trees. Pure: without I/O, clock or JSON."""
