"""The facets of OpenLineage events: what is known of files, columns, jobs and runs, as the client's classes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atlas_resources.export.provenance.crate_entities import FORMATS
from atlas_resources.export.provenance.runs import RunOfPlate
from atlas_resources.files.contract import FileDigest
from atlas_resources.plates.run_contracts import RunConfig, RunManifest
from atlas_resources.tables.table import IS_CURRENT, Table

Facets = dict[str, Any]

MADE_OF = {IS_CURRENT.name: ("run_id", "fingerprint", "source_sha256")}
"""Columns of a ledger that are made of other columns of the results than those of their own names."""


def file_facets(one: RunOfPlate, file: FileDigest) -> Facets:
    """Digest, format and, of a scan, where it is from."""
    from openlineage.client.facet_v2 import dataset_version_dataset, datasource_dataset, storage_dataset

    name = Path(file.path).name
    facets: Facets = {
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=f"sha256:{file.sha256}"),
        "storage": storage_dataset.StorageDatasetFacet(
            storageLayer="file", fileFormat=FORMATS.get(Path(name).suffix.lower(), Path(name).suffix.lstrip("."))
        ),
    }
    origin = one.plate.origin.url if one.plate.origin else one.plate.download_url
    if file.path.startswith("source/") and origin:
        facets["dataSource"] = datasource_dataset.DatasourceDatasetFacet(name=one.plate.title, uri=origin)
    else:
        facets["dataSource"] = datasource_dataset.DatasourceDatasetFacet(
            name="atlas", uri=f"urn:atlas:plate:{one.plate.plate_id}"
        )
    return facets


def schema_facet(columns: Sequence[str], table: Table, namespace: str, asset: str) -> Facets:
    """Columns with type and meaning, and the asset whose rows they are."""
    from openlineage.client.facet_v2 import schema_dataset, symlinks_dataset

    known = {column.name: column for column in table.columns}
    fields = [
        schema_dataset.SchemaDatasetFacetFields(
            name=name, type=str(known[name].dtype), description=known[name].meaning, ordinal_position=position
        )
        for position, name in enumerate(columns, start=1)
    ]
    same = symlinks_dataset.Identifier(namespace=namespace, name=asset, type="TABLE")
    return {
        "schema": schema_dataset.SchemaDatasetFacet(fields=fields),
        "symlinks": symlinks_dataset.SymlinksDatasetFacet(identifiers=[same]),
    }


def ledger_facets(table: Table, assets: Sequence[str], namespace: str) -> Facets:
    """The columns of a ledger of results, and of which columns of the instruments' results each is made."""
    from openlineage.client.facet_v2 import column_lineage_dataset

    fields = {}
    for name in table.schema.names():
        kind = "INDIRECT" if name in MADE_OF else "DIRECT"
        subtype = "CONDITIONAL" if name in MADE_OF else "IDENTITY"
        how = column_lineage_dataset.Transformation(type=kind, subtype=subtype)
        fields[name] = column_lineage_dataset.Fields(
            inputFields=[
                column_lineage_dataset.InputField(namespace=namespace, name=asset, field=one, transformations=[how])
                for asset in assets
                for one in MADE_OF.get(name, (name,))
            ]
        )
    schema = schema_facet(table.schema.names(), table, namespace, f"ledger/{table.name}")
    lineage = column_lineage_dataset.ColumnLineageDatasetFacet(fields=fields)
    return {"schema": schema["schema"], "columnLineage": lineage}


def job_facets(manifest: RunManifest, config: RunConfig) -> Facets:
    """What the job does, and the commit of its code."""
    from openlineage.client.facet_v2 import documentation_job, job_type_job, source_code_location_job

    title = config.spec.get("title") or manifest.instrument.key
    facets: Facets = {
        "jobType": job_type_job.JobTypeJobFacet(processingType="BATCH", integration="ATLAS", jobType="MODEL"),
        "documentation": documentation_job.DocumentationJobFacet(
            description=f"{title}: {config.spec.get('description') or manifest.instrument.model_id}"
        ),
    }
    if manifest.code.git_sha:
        facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
            type="git", url=f"urn:git:{manifest.code.git_sha}", version=manifest.code.git_sha
        )
    return facets


def run_facets(manifest: RunManifest, config: RunConfig) -> Facets:
    """Model, revision, digest of the weights, parameters, environment and the Dagster run."""
    from openlineage.client.facet_v2 import RunFacet, execution_parameters_run, processing_engine_run

    identity, environment = manifest.instrument, manifest.environment
    given = {**(config.spec.get("parameters") or {}), **(config.spec.get("numeric") or {})}
    given |= {"batch_size": config.batch_size, "forced": config.forced}
    parameters = [
        execution_parameters_run.ExecutionParameter(
            key=name, name=name, value=value if isinstance(value, str) else json.dumps(value)
        )
        for name, value in sorted(given.items())
        if value is not None
    ]
    instrument = RunFacet().with_additional_properties(
        **identity.model_dump(mode="json"),
        dagster_run_id=manifest.dagster_run_id,
        run_id=manifest.run_id,
        code_is_dirty=manifest.code.is_dirty,
        environment=environment.model_dump(mode="json"),
    )
    return {
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            version=manifest.code.project, name="Atlas"
        ),
        "executionParameters": execution_parameters_run.ExecutionParametersRunFacet(parameters=parameters),
        "atlas_instrument": instrument,
    }
