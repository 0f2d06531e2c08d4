"""Publish events: pipelined over a WebSocket, or from a thread over HTTP."""
