"""The state of the library as metrics for Prometheus, read from the ledgers. What runs count belongs in `watching`."""
