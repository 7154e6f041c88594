/** Rows as CSV. Pure. */
type Cell = string | number | null;

const FORMULA = /^[=+\-@\t\r]/;

/** A text as a spreadsheet shows it: what would be taken for a formula begins with an apostrophe. */
export function guarded(text: string): string {
  return FORMULA.test(text) ? `'${text}` : text;
}

function quoted(cell: Cell): string {
  const text = cell === null ? "" : String(cell);
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The lines of a CSV file (RFC 4180), in UTF-8 with a mark, so that spreadsheets read it as such. */
export function csv(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return `\ufeff${[columns, ...rows].map((row) => row.map(quoted).join(",")).join("\r\n")}\r\n`;
}

/** Rows for people, whose texts may come from anywhere: no cell is a formula. */
export function csvForSpreadsheets(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return csv(columns, rows.map((row) => row.map((cell) => (typeof cell === "string" ? guarded(cell) : cell))));
}

/** What is wrong with a word as a tag; null if nothing. The same rule as `atlas tags import` has. */
export function tagProblem(word: string): string | null {
  if (word.trim() === "") return "Write a word first.";
  if ([...word.trim()].length > 100) return "A tag has at most 100 characters.";
  if (/[\p{C}\p{Zl}\p{Zp}]|[^\P{Zs} ]/u.test(word.trim())) return "A tag is one line of printable characters.";
  return null;
}
