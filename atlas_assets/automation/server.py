"""A running Dagster web server, asked over GraphQL: which runs there are, and new ones for its daemon's queue.

What is asked for is in `backfills`. It talks to the address it is given and to no other.
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
    """The server is not there, or refuses what it is asked."""


@dataclass(frozen=True)
class ServerRun:
    """A run as the server knows it."""

    run_id: str
    status: str
    tags: Mapping[str, str]

    @property
    def is_over(self) -> bool:
        """Whether it ended for good: a run that the daemon is about to start again has not."""
        is_retried = RETRY_RUN_TAG in self.tags
        return self.status in ENDED and (is_retried or self.tags.get(WILL_RETRY_TAG) != "true")


class DagsterServer:
    """The web server at an address."""

    def __init__(self, url: str = DEFAULT_URL):
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise ServerError(f"{url!r}: expected an address such as {DEFAULT_URL}")

    def ask(self, query: str, **variables: object) -> Any:
        """The data of an answer. Raises ServerError."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310 - http(s), see above
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - likewise
                answer = json.load(response)
        except (OSError, ValueError) as error:
            raise ServerError(
                f"{self.url}: no Dagster web server answers ({error}). Start it with `atlas ui`, give its address with "
                f"--url, or compute in this process: `atlas run --missing`"
            ) from error
        if "errors" in answer:
            raise ServerError(f"{self.url}: {answer['errors'][0]['message']}")
        return answer["data"]

    def require_dataset(self, root: Path) -> None:
        """Raises ServerError unless the server works on this dataset."""
        answer = self.ask(
            """query($selector: ResourceSelector!) { topLevelResourceDetailsOrError(resourceSelector: $selector) {
                ... on ResourceDetails { configuredValues { key value } } ... on PythonError { message } } }""",
            selector={**LOCATION, "resourceName": "dataset"},
        )["topLevelResourceDetailsOrError"]
        values = {entry["key"]: entry["value"] for entry in answer.get("configuredValues", [])}
        served = Path(json.loads(values["root"])) if "root" in values else None
        if served is None or served.resolve() != root.resolve():
            found = f"works on {served}" if served else "has not loaded the code location `atlas`"
            raise ServerError(f"{self.url} {found}; expected {root}. Set ATLAS_HOME, or give another --url")

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
        """Puts a run over some assets into the queue; its id. Raises ServerError, saying what the server said."""
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
            said = answer.get("message") or "; ".join(error["message"] for error in answer.get("errors", []))
            raise ServerError(
                f"{self.url}: {answer['__typename']}: {said}. If the instrument is new, reload the code location: "
                f"in the UI under Deployment, or restart `atlas ui`"
            )
        return answer["run"]["runId"]
