"""AutoGPT: the WebSocket of its clients, and its events from Redis or over HTTP."""
