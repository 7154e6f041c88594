"""What leaves the dataset: ledgers as files, regions as GeoJSON, Web Annotations and IIIF manifests.

Reads the dataset and writes only outside it.
"""
