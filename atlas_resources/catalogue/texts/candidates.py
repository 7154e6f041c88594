"""The view `stage_candidates`: what each instrument that can serve a stage did, cost, and is allowed."""

from atlas_resources.catalogue._view import View, meanings
from atlas_resources.catalogue.texts.stages import KEYWORD_ROWS
from atlas_resources.tables.ledgers import MODELS
from atlas_resources.tables.records.benchmarks import BENCHMARKS

AT_ONCE = (1, 2, 4, 8)
"""Numbers of plates at once that have a column."""

_ANSWERED = "texts.raw_text IS NOT NULL AND texts.answer_seconds IS NOT NULL"
_QUESTION = "(plate_id, regexp_replace(text_id, '-attempt-[0-9]+$', ''))"
_WARM = f"""
    SELECT plate_id, instrument, run_id, text_id, answer_seconds, output_token_count
    FROM (
        SELECT texts.*, row_number() OVER (
            PARTITION BY texts.instrument, texts.run_id ORDER BY runs.sealed_at, plate_id, text_id
        ) AS number
        FROM texts JOIN runs USING (plate_id, run_id)
        WHERE {_ANSWERED}
    )
    WHERE number > 1 AND is_current
"""
"""SQL of the timed answers of current runs but the first of each run, which pays for a cold model. The first is looked
for among all of a run's answers: a later run may have replaced the plate that had it."""
_AGREEMENT = f"""
    WITH words AS (
        SELECT plate_id, instrument, list_distinct(list(lower(keyword))) AS words
        FROM ({KEYWORD_ROWS}) GROUP BY ALL
    )
    SELECT one.instrument,
           avg(len(list_intersect(one.words, other.words))
               / len(list_distinct(list_concat(one.words, other.words)))) AS keyword_agreement,
           count(DISTINCT other.instrument) AS keyword_candidate_count
    FROM words AS one JOIN words AS other ON one.plate_id = other.plate_id AND one.instrument <> other.instrument
    GROUP BY one.instrument
"""
_RATES = ", ".join(
    f"max(images_per_second) FILTER (concurrency = {number}) AS images_per_second_{number}" for number in AT_ONCE
)
_BENCHMARKS = f"""
    SELECT instrument, {_RATES}, max(measured_at) AS benchmarked_at
    FROM (
        SELECT * FROM benchmarks JOIN (SELECT instrument, fingerprint FROM models) USING (instrument, fingerprint)
        QUALIFY measured_at = max(measured_at) OVER (PARTITION BY instrument)
    )
    GROUP BY instrument
"""
STAGE_CANDIDATES = View(
    "stage_candidates",
    f"""
    SELECT form AS stage, instrument, title, model_id, model_sha, device, plates_done,
           question_count, usable_ratio, valid_ratio, warm_count, latency_p50_seconds, latency_p95_seconds,
           {", ".join(f"images_per_second_{number}" for number in AT_ONCE)}, benchmarked_at,
           output_token_mean, tokens_per_second, peak_memory_bytes, keyword_agreement, keyword_candidate_count,
           licence, commercial_use
    FROM (
        SELECT instrument, count(*) AS plates_done, any_value(licence) AS licence,
               any_value(commercial_use) AS commercial_use
        FROM runs WHERE role = 'text' AND is_current GROUP BY instrument
    ) AS done
    JOIN (
        SELECT instrument, form, count(DISTINCT {_QUESTION}) FILTER ({_ANSWERED}) AS question_count,
               count(*) FILTER ({_ANSWERED} AND status = 'done')
                   / nullif(count(DISTINCT {_QUESTION}) FILTER ({_ANSWERED}), 0)
                   AS usable_ratio,
               avg(is_valid::INTEGER) AS valid_ratio, max(peak_memory_bytes) AS peak_memory_bytes
        FROM texts WHERE is_current GROUP BY instrument, form
    ) AS answers USING (instrument)
    LEFT JOIN (
        SELECT instrument, count(*) AS warm_count, quantile_cont(answer_seconds, 0.5) AS latency_p50_seconds,
               quantile_cont(answer_seconds, 0.95) AS latency_p95_seconds, avg(output_token_count) AS output_token_mean,
               sum(output_token_count) FILTER (answer_seconds > 0) / nullif(sum(answer_seconds), 0) AS tokens_per_second
        FROM ({_WARM}) GROUP BY instrument
    ) AS warm USING (instrument)
    LEFT JOIN ({_AGREEMENT}) AS agreement USING (instrument)
    LEFT JOIN ({_BENCHMARKS}) AS rates USING (instrument)
    LEFT JOIN (SELECT instrument, title, model_id, model_sha, device FROM models) AS models USING (instrument)
    """,
    "One row per stage and instrument with current results: how much it did, how fast and how well it answered, and "
    "under which licence. Figures are of sealed runs, but images per second, which `atlas models bench` measures. What "
    "was measured on different machines cannot be compared: see `runs` and `benchmarks`.",
    meanings(
        MODELS,
        BENCHMARKS,
        stage="Form of its texts: caption, keywords, ranking, description, ...",
        plates_done="Plates with a current result.",
        question_count="Questions that were put, over all plates.",
        usable_ratio="Usable answers over questions, 0..1; null for what is not asked.",
        valid_ratio="Share of answers and attempts with a JSON Schema that follow it, 0..1; null without a schema.",
        warm_count="Answers that the latency is of: all but the first of each run, which pays for a cold model.",
        latency_p50_seconds="Median time from question to answer, seconds.",
        latency_p95_seconds="95th percentile of it, interpolated, seconds.",
        **{
            f"images_per_second_{number}": f"Plates per second with {number} at once, by the newest benchmark of the "
            "present version; null if it was not measured, and above 1 for a model that answers one at a time."
            for number in AT_ONCE
        },
        benchmarked_at="When that benchmark was made, UTC; null without one.",
        **{"output_token_mean": "Tokens of an answer, the mean over these answers."},
        tokens_per_second="Tokens over seconds, summed over these answers.",
        peak_memory_bytes="Most memory while it answered, of the GPU or of the process on the CPU.",
        keyword_agreement="Mean Jaccard index of its keywords with those of each other candidate, over the plates that "
        "both did, without regard to case, 0..1; null for other stages and without another candidate.",
        keyword_candidate_count="Other candidates with keywords of a plate in common; null without one.",
        licence="Licences of the instrument and of those that it reads, when it was sealed.",
        commercial_use="yes, no or unknown: the strictest of these licences.",
    ),
)
