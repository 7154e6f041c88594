/** A small library for tests. */
import type { Library, PlateColumns, Space } from "../src/contract.ts";

export function madeSpace(changes: Partial<Space> = {}): Space {
  return {
    key: "one",
    title: "One",
    kind: "embedding",
    layouts: [{ method: "pca", x: [0, 4, null, 2], y: [0, 2, null, 1], note: "", sql: "" }],
    cluster: [0, 1, null, 0],
    is_exemplar: [3, 1],
    cluster_stability: 0.4,
    outlier_factor: [1, 1, null, 2],
    is_outlier: [3],
    sql: "",
    ...changes,
  };
}

export function madeLibrary(columns: Partial<PlateColumns> = {}, changes: Partial<Library> = {}): Library {
  const plates: PlateColumns = {
    plate_id: ["plate-001", "plate-002", "plate-003", "plate-004"],
    title: ["Wren", "=Owl", "Barn owl, with \"prey\"", ""],
    year: [1830, null, 1827, 1830],
    licence: ["CC0-1.0", null, null, null],
    paper: ["#f0e6d2", null, "#ffffff", "#888888"],
    paper_lightness: [91, null, 100, 57],
    printed_text: ["N° 12\nHavell sculpsit", "", "", ""],
    machine_words: ["", "a drawing of a night bird", "", ""],
    disagreement: [0.1, 0.9, null, 0.4],
    outlier_in: [0, 1, 5, 2],
    thumbnail_width: [96, 128, 0, 128],
    thumbnail_height: [128, 64, 0, 128],
    ...columns,
  };
  return {
    schema_version: 1,
    title: "Made",
    made_at: "2026-03-14T09:26:00+00:00",
    made_by: "Atlas",
    catalogue: "atlas.duckdb",
    notices: [],
    plates,
    sprites: { cell_px: 128, columns: 16, rows: 16, sheet_count: 1 },
    spaces: [madeSpace()],
    agreement: [],
    instruments: [],
    tags: [{ tag: "hand", plates: [1, 3], people: ["Ada"] }],
    failures: [],
    refused_scans: [],
    duplicates: [],
    plates_sql: "",
    agreement_sql: "",
    failures_sql: "",
    ...changes,
  };
}
