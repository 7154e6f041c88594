/** The files that people save: a selection to read, a selection as a tag, and judgements. Pure. */
import type { Library, Space } from "../contract.ts";
import type { PendingJudgement } from "./judgements.ts";
import { csv, csvForSpreadsheets } from "./csv.ts";

/** What is known of the plates, for a spreadsheet. */
export function selectionCsv(library: Library, space: Space | null, plates: readonly number[]): string {
  const { plates: known } = library;
  const columns = ["plate_id", "title", "year", "licence", "paper", "disagreement", "outlier_in", "space", "cluster", "tags"];
  const rows = plates.map((plate) => [
    known.plate_id[plate] ?? "",
    known.title[plate] ?? "",
    known.year[plate] ?? null,
    known.licence[plate] ?? null,
    known.paper[plate] ?? null,
    known.disagreement[plate] ?? null,
    known.outlier_in[plate] ?? null,
    space?.key ?? null,
    space?.cluster[plate] ?? null,
    library.tags.filter(({ plates: tagged }) => tagged.includes(plate)).map(({ tag }) => tag).join("; "),
  ]);
  return csvForSpreadsheets(columns, rows);
}

/** A tag for each plate, for `atlas tags import`. */
export function tagsCsv(plateIds: readonly string[], tag: string): string {
  return csv(["plate_id", "tag"], plateIds.map((id) => [id, tag.trim()]));
}

const COLUMNS = [
  "plate_id", "run_id", "segment_id", "text_id", "detection_id", "space", "cluster", "judgement", "corrected",
] as const; // prettier-ignore

/** Judgements of machines' rows, for `atlas tags import`. */
export function judgementsCsv(judgements: readonly PendingJudgement[]): string {
  return csv(COLUMNS, judgements.map((one) => COLUMNS.map((column) => one[column] ?? null)));
}
