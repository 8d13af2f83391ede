"""The other store of samples: an engine that speaks Prometheus' protocols, named by METRICS_STORE_URL."""
