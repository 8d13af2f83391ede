"""REST of the alerts app: `/api/console/v1/`."""
