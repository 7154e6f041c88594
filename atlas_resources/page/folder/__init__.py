"""The page's folder: pictures, sheets of thumbnails, data files, and how they replace those of an earlier page."""
