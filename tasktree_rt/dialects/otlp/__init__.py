"""OpenTelemetry's protocol (OTLP): spans and log records in, events of a project out. Pure."""
