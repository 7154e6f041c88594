"""What results were made from, in forms that other programs know: PROV-JSON, a crate of a run, OpenLineage events."""
