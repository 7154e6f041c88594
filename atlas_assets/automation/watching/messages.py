"""A message about failures: as JSON for a webhook, and as plain text for a mail. Bounded, and without markup.

What models, files and people wrote may be in a reason. It is shown as it is, and cannot be a link, a mention or markup.
"""

import hashlib
import html
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from atlas_assets.automation.watching.failures import SHOWN, FailedRun, RedCheck


@dataclass(frozen=True)
class Message:
    """What one message reports.

    Attributes:
        runs: that failed.
        checks: that turned red.
        ui_url: address of the Dagster UI.
    """

    runs: Sequence[FailedRun]
    checks: Sequence[RedCheck]
    ui_url: str

    @property
    def id(self) -> str:
        """The same whenever the same is sent again, as after an answer that got lost. 16 hex digits."""
        told = [[run.run_id for run in self.runs], [[check.name, check.reason] for check in self.checks]]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    @property
    def subject(self) -> str:
        """One line."""
        parts = [_counted(len(self.runs), "run failed", "runs failed")] if self.runs else []
        parts += [_counted(len(self.checks), "check is red", "checks are red")] if self.checks else []
        return f"Atlas: {', '.join(parts)}"

    def text(self) -> str:
        """All of it as lines of plain text."""
        lines = [self.subject]
        for run in self.runs:
            lines += ["", *self._run_lines(run)]
        for check in self.checks[:SHOWN]:
            lines += ["", f"Check {check.name}: {check.reason}", f"  More: {self._asset_url(check.asset)}"]
        if len(self.checks) > SHOWN:
            lines += ["", f"and {len(self.checks) - SHOWN} more checks"]
        return "\n".join(lines)

    def json(self) -> bytes:
        """All of it as JSON in UTF-8.

        `text` is the plain text as chat programs take it: with `<`, `>` and `&` as entities, and no `@` before a name.
        """
        content = {
            "id": self.id,
            "text": html.escape(self.text(), quote=False).replace("@", "@\u200b"),
            "subject": self.subject,
            "runs": [{**asdict(run), "url": self._run_url(run)} for run in self.runs],
            "checks": [{**asdict(check), "url": self._asset_url(check.asset)} for check in self.checks[:SHOWN]],
            "check_count": len(self.checks),
        }
        return json.dumps(content, ensure_ascii=False).encode()

    def _run_lines(self, run: FailedRun) -> list[str]:
        by = f", requested by {run.requested_by}" if run.requested_by else ""
        lines = [f"Run {run.run_id} of {run.job}{by} failed."]
        if run.plates:
            lines.append(f"  {_counted(run.plate_count, 'plate', 'plates')} failed:")
            lines += [f"  - {plate.plate_id}, {plate.asset}: {plate.reason}" for plate in run.plates]
            if run.plate_count > len({plate.plate_id for plate in run.plates}):
                lines.append("  - and more")
        else:
            lines += [f"  {reason}" for reason in run.reasons]
        return [*lines, f"  More: {self._run_url(run)}", f"  Try again: {run.retry}"]

    def _run_url(self, run: FailedRun) -> str:
        return f"{self.ui_url.rstrip('/')}/runs/{run.run_id}"

    def _asset_url(self, asset: str) -> str:
        return f"{self.ui_url.rstrip('/')}/assets/{asset}"


def _counted(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
