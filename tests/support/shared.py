"""The folder `shared` next to the repository: real plates and weights. Tests that need it are skipped without it."""

from atlas_resources.files.project import PROJECT_ROOT

SHARED = PROJECT_ROOT.parent / "shared"
