"""OTLP metrics: from OpenTelemetry's messages to Prometheus' series."""
