"""The GraphQL API of a running Dagster web server: lists runs, and puts new ones into its daemon's queue.

Only the given address is contacted.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from atlas_assets.graph.dagster_internals import RETRY_RUN_TAG, WILL_RETRY_TAG

LOCATION = {"repositoryLocationName": "atlas", "repositoryName": "__repository__"}
DEFAULT_URL = "http://127.0.0.1:3000"
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


class ServerError(RuntimeError):
    """The server does not answer, or refuses a request."""


@dataclass(frozen=True)
class ServerRun:
    """A run as the server reports it."""

    run_id: str
    status: str
    tags: Mapping[str, str]

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good. A run that the daemon will start again has not."""
        is_retried = RETRY_RUN_TAG in self.tags
        return self.status in ENDED and (is_retried or self.tags.get(WILL_RETRY_TAG) != "true")


class DagsterServer:
    """The web server at an address."""

    def __init__(self, url: str = DEFAULT_URL):
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise ServerError(f"{url!r}: expected an address such as {DEFAULT_URL}")

    def ask(self, query: str, **variables: object) -> Any:
        """Sends a query and returns the answer's data. Raises ServerError."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310 - http(s), see above
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - likewise
                answer = json.load(response)
        except (OSError, ValueError) as error:
            raise ServerError(
                f"{self.url}: no Dagster web server answers ({error}). Fix: start it with `atlas ui`, give its address "
                f"with --url, or compute in this process with `atlas run --missing`"
            ) from error
        if "errors" in answer:
            raise ServerError(f"{self.url}: {answer['errors'][0]['message']}")
        return answer["data"]

    def require_dataset(self, root: Path) -> None:
        """Raises ServerError unless the server serves this dataset."""
        answer = self.ask(
            """query($selector: ResourceSelector!) { topLevelResourceDetailsOrError(resourceSelector: $selector) {
                ... on ResourceDetails { configuredValues { key value } } ... on PythonError { message } } }""",
            selector={**LOCATION, "resourceName": "dataset"},
        )["topLevelResourceDetailsOrError"]
        values = {entry["key"]: entry["value"] for entry in answer.get("configuredValues", [])}
        served = Path(json.loads(values["root"])) if "root" in values else None
        if served is None or served.resolve() != root.resolve():
            found = str(served) if served else "none, because the code location `atlas` is not loaded"
            raise ServerError(
                f"{self.url}: expected a server of the dataset {root}, found {found}. Fix: set ATLAS_HOME or give --url"
            )

    def has_daemon(self) -> bool:
        """Whether a daemon takes runs from the queue."""
        answer = self.ask("{ instance { daemonHealth { allDaemonStatuses { daemonType healthy } } } }")
        statuses = answer["instance"]["daemonHealth"]["allDaemonStatuses"]
        return any(status["daemonType"] == "QUEUED_RUN_COORDINATOR" and status["healthy"] for status in statuses)

    def runs(self, tag: str, value: str) -> list[ServerRun]:
        """Runs with a tag, newest first."""
        answer = self.ask(
            """query($filter: RunsFilter!) { runsOrError(filter: $filter, limit: 500) { ... on Runs { results {
                runId status tags { key value } } } } }""",
            filter={"tags": [{"key": tag, "value": value}]},
        )["runsOrError"]["results"]
        return [
            ServerRun(run["runId"], run["status"], {entry["key"]: entry["value"] for entry in run["tags"]})
            for run in answer
        ]

    def launch(self, keys: Sequence[dg.AssetKey], run_config: dict, tags: Mapping[str, str]) -> str:
        """Puts a run over some assets into the queue. Returns its id. Raises ServerError with the server's message."""
        answer = self.ask(
            """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
                __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
                ... on InvalidSubsetError { message } ... on UnauthorizedError { message }
                ... on RunConfigValidationInvalid { errors { message } } } }""",
            params={
                "mode": "default",
                "selector": {
                    **LOCATION,
                    "pipelineName": "__ASSET_JOB",
                    "assetSelection": [{"path": list(key.path)} for key in keys],
                },
                "runConfigData": run_config,
                "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
            },
        )["launchPipelineExecution"]
        if answer["__typename"] != "LaunchRunSuccess":
            message = answer.get("message") or "; ".join(error["message"] for error in answer.get("errors", []))
            raise ServerError(
                f"{self.url}: {answer['__typename']}: {message.strip()}. If the instrument is new, or the UI shows it "
                f"in the group weights_missing: `atlas models pull KEY` where the server runs, then reload the code "
                f"location in the UI under Deployment, or restart `atlas ui`"
            )
        return answer["run"]["runId"]
