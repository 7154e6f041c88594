"""The frozen schema of a spec file in `model_specs/`, and what it pins. No files are read here."""
