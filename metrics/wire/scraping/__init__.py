"""What a scrape is told: Prometheus' own configuration of it, and the relabelling of targets and samples."""
