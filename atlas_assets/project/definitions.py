"""What `dg` loads in this folder: the packaged graph, with the settings and specs of this project. Add assets here."""

from atlas_assets.definitions import defs

__all__ = ["defs"]
