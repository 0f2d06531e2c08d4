"""Connect to a hub: addresses, one WebSocket, HTTP with retries, back-off."""
