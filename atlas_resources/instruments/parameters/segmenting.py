"""How masks are made: the parameters of the loaders that segment. All of it is part of the fingerprint."""

from typing import Literal

from pydantic import Field, model_validator

from atlas_resources.files.contract import Contract


class OtsuParameters(Contract):
    """Parameters of `otsu_luma`. Ratios are of the working raster's area."""

    min_area_ratio: float = Field(gt=0, lt=1)
    max_regions: int = Field(gt=0)


class SamParameters(Contract):
    """Parameters of automatic mask generation, by the names and with the defaults of segment-anything 1.0."""

    points_per_side: int = Field(gt=0)
    points_per_batch: int = Field(gt=0)
    pred_iou_thresh: float = Field(ge=0, le=1)
    stability_score_thresh: float = Field(ge=0, le=1)
    stability_score_offset: float = Field(
        default=1.0, gt=0, description="By how much the logits' threshold is raised and lowered."
    )
    box_nms_thresh: float = Field(ge=0, le=1)
    crop_n_layers: int = Field(default=0, ge=0, le=4)
    crop_overlap_ratio: float = Field(default=512 / 1500, gt=0, lt=1)
    crop_n_points_downscale_factor: int = Field(default=1, gt=0)
    crop_nms_thresh: float = Field(default=0.7, ge=0, le=1)
    crop_nms_order: Literal["smaller_crops_first", "predicted_iou"] = Field(
        default="smaller_crops_first",
        description="Which of two similar masks is kept; transformers' pipeline keeps by predicted IoU.",
    )
    min_mask_region_area: int = Field(default=0, ge=0, description="Pixels of the working raster.")

    @model_validator(mode="after")
    def _every_layer_has_points(self) -> "SamParameters":
        factor = self.crop_n_points_downscale_factor**self.crop_n_layers
        if self.points_per_side < factor:
            raise ValueError(
                f"points_per_side must be at least {factor}, found {self.points_per_side}: no point would be left"
            )
        return self


class U2NetParameters(Contract):
    """Parameters of `u2net`."""

    saliency_threshold: float = Field(
        gt=0, lt=1, description="Of saliency rescaled from its minimum and maximum to 0..1."
    )
