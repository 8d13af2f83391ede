"""Rules tried on the past: REST and the admin part; the work itself is `alerts.services.backtest`."""
