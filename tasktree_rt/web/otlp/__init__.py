"""OpenTelemetry's protocol over HTTP: spans become nodes, log records their output."""
