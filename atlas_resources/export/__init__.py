"""What leaves the dataset: ledgers as files, regions and texts as GeoJSON, Web Annotations and IIIF manifests.

Reads the dataset and writes only outside it.
"""
