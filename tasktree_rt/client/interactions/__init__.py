"""Ask people, notify them, and send commands, over HTTP."""
