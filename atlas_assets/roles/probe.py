"""Probes: one score per label and plate."""

from typing import Any

import numpy as np
import polars as pl

from atlas_assets.roles.declared import ContractBroken, require_finite
from atlas_assets.roles.tensors import TensorWork
from atlas_assets.ui.plots import scores_plot
from atlas_resources.instruments.prompts import prompt_columns
from atlas_resources.instruments.spec.output import ScoresOutput
from atlas_resources.models.protocols import Scorer, TextScorer, shown_names
from atlas_resources.runs.sealing import Measurement
from atlas_resources.tables.result_columns import PROMPT
from atlas_resources.tables.table import schema_of


class ProbeWork(TensorWork):
    """Scores every label of the model on each plate."""

    model: Scorer

    def measure(self, batch: list[Any]) -> list[Measurement]:
        """One row per label, in the model's order: its logit and score."""
        output = self.spec.output
        if not isinstance(output, ScoresOutput):
            raise ContractBroken(f"{self.spec.key}: a probe must declare an output of scores")
        if len(self.model.labels) != output.count:
            raise ContractBroken(f"{self.spec.key}: expected {output.count} labels, found {len(self.model.labels)}")
        stacked, shape = self.stack(batch), (output.count,)
        logits, scores = self.model.score(stacked)
        named = {"logits": logits, "scores": scores}
        if isinstance(self.model, TextScorer):
            named["cosines"] = self.model.cosines(stacked)
        return [
            self._measurement(
                output, {name: require_finite(self.spec, name, values[row], shape) for name, values in named.items()}
            )
            for row in range(len(batch))
        ]

    def _measurement(self, output: ScoresOutput, values: dict[str, np.ndarray]) -> Measurement:
        labels, scores = self.model.labels, values["scores"]
        rows = pl.DataFrame(
            {
                "label_index": np.arange(output.count, dtype=np.int32),
                "label_id": [label.label_id for label in labels],
                "label": [label.name for label in labels],
                "logit": values["logits"],
                "score": scores,
                "cosine": values.get("cosines", [None] * output.count),
                **{name: [prompt_columns(label.prompt)[name] for label in labels] for name in prompt_columns(None)},
            },
            schema_overrides={"cosine": pl.Float32, **schema_of(PROMPT)},
        ).with_columns(
            activation=pl.lit(output.activation or "softmax"),
            calibration=pl.lit(output.calibration),
            failure_modes=pl.lit("; ".join(mode.fact for mode in self.spec.failure_modes)),
        )
        best = np.argsort(-scores, kind="stable")[:5]
        shown = shown_names(labels)
        names = [shown[index] for index in best]
        metrics = {
            "top_label": names[0],
            "top_label_id": labels[best[0]].label_id,
            "top_score": float(scores[best[0]]),
        }
        if output.activation == "identity":
            return Measurement(rows, metrics)  # a rating is not a share, and may be negative
        return Measurement(rows, metrics, scores_plot(names, [float(scores[index]) for index in best]))
