"""A cluster on one machine's loopback address, and a demonstration of it in which a node is killed.

Postgres, two Ray nodes and Dagster's programs. What machines are set up by is in the folders beside.
"""
