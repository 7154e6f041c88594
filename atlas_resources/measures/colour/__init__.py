"""Colours and tones of a picture: histograms, Lab, palettes, paper against print."""
