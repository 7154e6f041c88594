"""What leaves the dataset: ledgers as files, regions as GeoJSON, Web Annotations and IIIF manifests.

Reads the catalogue and the ledgers; writes only outside the dataset.
"""
