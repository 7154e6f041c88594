"""Probes: a score per label and plate."""

from typing import Any

import numpy as np
import polars as pl

from atlas_assets.pictures import scores_plot
from atlas_assets.roles.contract import ContractBroken, require_finite
from atlas_assets.roles.tensors import TensorWork
from atlas_resources.inference import Scorer
from atlas_resources.runs import Measurement
from atlas_resources.specs import ScoresOutput


class ProbeWork(TensorWork):
    """A score per label and plate."""

    model: Scorer

    def measure(self, batch: list[Any]) -> list[Measurement]:
        """One row a label: logit and score, all of them, in the model's order."""
        output = self.spec.output
        if not isinstance(output, ScoresOutput):
            raise ContractBroken(f"{self.spec.key}: a probe declares scores")
        if len(self.model.labels) != output.count:
            raise ContractBroken(f"{self.spec.key}: expected {output.count} labels, found {len(self.model.labels)}")
        logits, scores = self.model.score(self.stack(batch))
        shape = (output.count,)
        return [
            self._measurement(
                output,
                require_finite(self.spec, "logits", plate_logits, shape),
                require_finite(self.spec, "scores", plate_scores, shape),
            )
            for plate_logits, plate_scores in zip(logits, scores, strict=True)
        ]

    def _measurement(self, output: ScoresOutput, logits: np.ndarray, scores: np.ndarray) -> Measurement:
        labels = self.model.labels
        rows = pl.DataFrame(
            {
                "label_index": np.arange(output.count, dtype=np.int32),
                "label_id": [label.label_id for label in labels],
                "label": [label.name for label in labels],
                "logit": logits,
                "score": scores,
            }
        ).with_columns(
            calibration=pl.lit(output.calibration),
            failure_modes=pl.lit("; ".join(mode.fact for mode in self.spec.failure_modes)),
        )
        best = np.argsort(-scores, kind="stable")[:5]
        names = [labels[index].name.split(",")[0] for index in best]
        metrics = {"top_label": names[0], "top_score": float(scores[best[0]])}
        return Measurement(rows, metrics, scores_plot(names, [float(scores[index]) for index in best]))
