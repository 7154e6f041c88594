"""Where the project's own files are: the specs and settings that ship with the packages."""

from pathlib import Path

# The folder that has atlas_assets, atlas_resources and model_specs side by side: a checkout, or site-packages.
PROJECT_ROOT = Path(__file__).resolve().parents[2]
SPECS_FOLDER = PROJECT_ROOT / "model_specs"
SETTINGS_FOLDER = PROJECT_ROOT / "atlas_assets" / "project"
