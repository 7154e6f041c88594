"""The reports of one encoder beside another as assets, one for each pair that the roster names."""
