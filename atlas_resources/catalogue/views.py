"""The views of regions and of histogram bins, and a view for each embedding and probe instrument."""

from collections.abc import Iterator

from atlas_resources.catalogue._view import View, literal, meanings
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.output import ScoresOutput, VectorOutput
from atlas_resources.tables.ledgers import HISTOGRAMS, PLATES
from atlas_resources.tables.results import INSTRUMENT_TABLES

REGIONS = View(
    "regions",
    """
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
    """,
    "One row per current kept segment: its shape, and its colours and polygons where they were measured.",
    meanings(*(INSTRUMENT_TABLES[role] for role in ("pruning", "palette", "segmentation", "outline")), PLATES),
)


def _edge(axis: str, index: str) -> str:
    """SQL of the lower edge of the bin with an index, counted from 0, along an axis of the Lab histogram."""
    number = "lab".index(axis) + 1
    low, high = f"lab_{axis}_range[1]", f"lab_{axis}_range[2]"
    return f"{low} + ({high} - {low}) * ({index}) / lab_bins[{number}]"


_INDEX = {"l": "bin // (lab_bins[2] * lab_bins[3])", "a": "bin // lab_bins[3] % lab_bins[2]", "b": "bin % lab_bins[3]"}
_EDGES = ", ".join(
    f"{_edge(axis, _INDEX[axis])} AS {axis}_min, {_edge(axis, f'{_INDEX[axis]} + 1')} AS {axis}_max" for axis in "lab"
)
HISTOGRAM_BINS = View(
    "histogram_bins",
    f"""
    SELECT plate_id, bin, l_min, l_max, a_min, a_max, b_min, b_max,
           [(l_min + l_max) / 2, (a_min + a_max) / 2, (b_min + b_max) / 2] AS centre_lab,
           bin_count AS pixel_count, bin_count / pixel_count AS share, is_current
    FROM (
        SELECT *, {_EDGES} FROM (
            SELECT *, unnest(lab) AS bin_count, unnest(range(len(lab))) AS bin FROM histograms
        ) WHERE bin_count > 0
    )
    """,
    "One row per plate and bin of its Lab histogram that holds a pixel, with the bin's edges.",
    meanings(
        HISTOGRAMS,
        bin="Index of the bin in histograms.lab, counted from 0.",
        **{f"{axis}_min": f"Lower edge of the bin along {axis.upper() if axis == 'l' else axis}." for axis in "lab"},
        **{f"{axis}_max": f"Upper edge of the bin along {axis.upper() if axis == 'l' else axis}." for axis in "lab"},
        centre_lab="Centre of the bin: CIE L*, a*, b* (D65).",
        pixel_count="Pixels in the bin.",
        share="Share of the plate's pixels that are in the bin, 0..1.",
    ),
)


def instrument_views(registry: Registry) -> Iterator[View]:
    """`embeddings_<key>` and `probes_<key>`: the current rows of each admitted embedding and probe instrument.

    Vectors are arrays of fixed size, raw and of unit length. Scores have a rank per plate.
    """
    for spec in (instrument.spec for instrument in registry.instruments.values()):
        where = f"WHERE instrument = {literal(spec.key)} AND is_current"
        match spec.output:
            case VectorOutput(dim=dim):
                yield View(
                    f"embeddings_{spec.key}",
                    f"""
                    SELECT plate_id, scope, segment_id, tile_id, x_min, y_min, x_max, y_max,
                           vector::FLOAT[{dim}] AS vector,
                           [x / l2_norm FOR x IN vector]::FLOAT[{dim}] AS vector_unit, l2_norm, run_id
                    FROM embeddings {where}
                    """,
                    f"Current vectors of {spec.title}, as arrays of fixed size.",
                    meanings(
                        INSTRUMENT_TABLES["embedding"],
                        vector_unit="The vector divided by its Euclidean length, `l2_norm`.",
                    ),
                )
            case ScoresOutput():
                yield View(
                    f"probes_{spec.key}",
                    f"""
                    SELECT plate_id, row_number() OVER (PARTITION BY plate_id ORDER BY score DESC, label_index) AS rank,
                           label, label_id,
                           split_part(label, ',', 1) || CASE WHEN min(label_id) OVER same <> max(label_id) OVER same
                                                             THEN ' (' || label_id || ')' ELSE '' END AS shown_label,
                           score, logit, label_index, calibration, run_id
                    FROM probes {where}
                    WINDOW same AS (PARTITION BY plate_id, split_part(label, ',', 1))
                    """,
                    f"Current scores of {spec.title}, ranked per plate. Two classes may share a label: group by "
                    "label_id, and show shown_label.",
                    meanings(
                        INSTRUMENT_TABLES["probe"],
                        shown_label="The label's first synonym, with the id where another label has the same one.",
                        rank="Rank of the score among the plate's labels, 1 for the highest.",
                    ),
                )
