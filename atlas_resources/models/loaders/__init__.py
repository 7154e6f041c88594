"""A module for each family of models: `load(spec, weights, device)` returns an object with the methods of its role.

Folders by role: embedding in `embedders`, segmentation in `segmenters`, detection in `detectors`, probe in `scorers`,
text that is read in `readers`. A new family also needs an entry in `atlas_resources/instruments/loader_table.py`. A
loader reads the pinned files and no others, and opens no connection.
"""
