"""Colours and tones of pixels, wherever they are in the picture: histograms, Lab, palettes, paper and print."""
