"""Deployment: files for one machine and for several, and a demonstration of a cluster on loopback. Not installed."""
