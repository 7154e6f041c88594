"""Views of regions, and one view for each embedding and probe with columns of its own."""

from typing import TYPE_CHECKING

from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.output import ScoresOutput, VectorOutput

if TYPE_CHECKING:
    import duckdb


REGIONS_MEANING = "Current kept segments, one row each: shape from segments, colours and polygons where they are made."


REGIONS = """
    CREATE VIEW regions AS
    SELECT kept.plate_id, plates.title, kept.segmenter, kept.segment_id, kept.rank, raw.class_name, kept.area_px,
           kept.area_ratio, kept.x_min, kept.y_min, kept.x_max, kept.y_max, raw.centroid_x, raw.centroid_y,
           raw.predicted_iou, raw.stability_score, raw.fragmentation_score, raw.hole_count, raw.touches_border,
           colours.luminance_mean, colours.luminance_std, colours.lab_mean, colours.chroma_mean,
           colours.paper_difference, colours.palette, colours.edge_density, colours.laplacian_variance,
           outlines.multipolygon, outlines.reprojected_iou, kept.height_px, kept.width_px, kept.mask_sha256,
           kept.mask_rle, kept.licence, kept.commercial_use, kept.run_id
    FROM kept_segments AS kept
    LEFT JOIN plates USING (plate_id)
    LEFT JOIN segments AS raw ON raw.is_current AND raw.instrument = kept.segmenter
         AND (raw.plate_id, raw.segment_id, raw.mask_sha256) = (kept.plate_id, kept.segment_id, kept.mask_sha256)
    LEFT JOIN region_colours AS colours ON colours.is_current AND colours.segmenter = kept.segmenter
         AND (colours.plate_id, colours.segment_id, colours.mask_sha256)
             = (kept.plate_id, kept.segment_id, kept.mask_sha256)
    LEFT JOIN region_outlines AS outlines ON outlines.is_current AND outlines.segmenter = kept.segmenter
         AND (outlines.plate_id, outlines.segment_id, outlines.mask_sha256)
             = (kept.plate_id, kept.segment_id, kept.mask_sha256)
    WHERE kept.is_current AND kept.rank IS NOT NULL
"""


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _create_views(connection: "duckdb.DuckDBPyConnection", registry: Registry) -> None:
    """Regions; per embedding a view with fixed-size arrays, raw and of unit length; per probe its present scores."""
    connection.execute(REGIONS)
    connection.execute(f"COMMENT ON VIEW regions IS {_text(REGIONS_MEANING)}")
    for spec in registry.admitted:
        match spec.output:
            case VectorOutput(dim=dim):
                view, meaning = f"embeddings_{spec.key}", f"Current vectors of {spec.title}, fixed-size arrays."
                connection.execute(f"""
                    CREATE VIEW {view} AS
                    SELECT plate_id, scope, segment_id, tile_id, x_min, y_min, x_max, y_max,
                           vector::FLOAT[{dim}] AS vector,
                           list_transform(vector, lambda x: x / l2_norm)::FLOAT[{dim}] AS vector_unit, l2_norm, run_id
                    FROM embeddings WHERE instrument = {_text(spec.key)} AND is_current
                """)
            case ScoresOutput():
                view, meaning = f"probes_{spec.key}", f"Current scores of {spec.title}, best first per plate."
                connection.execute(f"""
                    CREATE VIEW {view} AS
                    SELECT plate_id, row_number() OVER (PARTITION BY plate_id ORDER BY score DESC, label_index) AS rank,
                           label, score, logit, label_index, label_id, calibration, run_id
                    FROM probes WHERE instrument = {_text(spec.key)} AND is_current
                """)
            case _:
                continue
        connection.execute(f"COMMENT ON VIEW {view} IS {_text(meaning)}")
