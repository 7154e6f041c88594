"""What viewers of images open: IIIF manifests with pages of Web Annotations, and regions as GeoJSON."""
