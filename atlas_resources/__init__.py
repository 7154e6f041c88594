"""What the graph works with: the dataset, sealed runs, specs, weights, models and the catalogue.

Never imports `atlas_assets`.
"""
