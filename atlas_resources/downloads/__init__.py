"""What downloads of weights and of scans share: limits of an answer, patience with a server, and a polite client.

Knows neither models nor plates.
"""
