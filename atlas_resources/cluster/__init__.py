"""What Dagster loads on a cluster: the launcher that makes each run a job of Ray, and what a run needs there. Not how a
cluster is set up: that is in `deploy/`."""
