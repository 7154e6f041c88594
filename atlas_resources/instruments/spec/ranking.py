"""How keywords are ranked by an image-text embedding: the part `ranking` of a spec."""

from pydantic import Field

from atlas_resources.files.contract import Contract


class RankingSettings(Contract):
    """How stable a rank is: over seeded draws of the prompt templates, with replacement."""

    draws: int = Field(default=1000, ge=1, le=100_000, description="Draws, each of as many templates as there are.")
    seed: int = Field(default=0, ge=0, description="Of the draws.")
    coverage: float = Field(default=0.95, gt=0, lt=1, description="Share of the draws in a rank's interval.")
    top_count: int = Field(default=5, ge=1, description="Ranks that count as the top.")


class Ranking(RankingSettings):
    """What keywords are compared with. The spec's `upstream` gives the keywords, its `prompts` the templates."""

    vectors: str = Field(description="Key of the embedding whose sealed vector of the plate is read too.")
