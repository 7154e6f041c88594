"""Loaders that read text: of whole plates, or of lines that were cut out."""
