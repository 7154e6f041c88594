"""One encoder beside another, over the plates that both have measured: what is said of them, as tables and as a page.

Dagster and the terminal show it; the statistics are pure functions in `measures.spaces`.
"""
