"""A cluster on one machine's loopback address: Postgres, a Ray head and a second node, Dagster's programs, and a demonstration
in which a node is killed. What machines are set up by is in the folders beside."""
