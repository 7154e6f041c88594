"""What Pillow leaves out of a file's coding or reads in part: samples of 16 bits, and the pages and tags of a TIFF."""
