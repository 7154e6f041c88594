/** Search over ids, titles, printed text and machines' words, made when it is first used. Pure apart from that. */
import MiniSearch from "minisearch";
import type { Library } from "../contract.ts";

export type Part = "id" | "title" | "printed" | "machine";

interface Entry extends Record<Part, string> {
  index: number;
}

export interface Hit {
  index: number;
  part: Part;
  /** The text around the match: before, matched, after. */
  before: string;
  matched: string;
  after: string;
}

const PARTS: Part[] = ["id", "title", "printed", "machine"];
const AROUND = 28;

export class Search {
  private readonly found: MiniSearch<Entry>;
  private readonly entries: Entry[];

  constructor({ plates }: Pick<Library, "plates">) {
    this.entries = plates.plate_id.map((id, index) => ({
      index,
      id,
      title: plates.title[index] ?? "",
      printed: plates.printed_text[index] ?? "",
      machine: plates.machine_words[index] ?? "",
    }));
    this.found = new MiniSearch<Entry>({ idField: "index", fields: PARTS, storeFields: [] });
    this.found.addAll(this.entries);
  }

  /** Plates that match, best first: all words, by their beginnings, longer ones with a letter wrong. */
  ask(query: string): Hit[] {
    const text = query.trim().toLowerCase();
    if (text === "") return [];
    const results = this.found.search(text, {
      prefix: true,
      fuzzy: (term) => (term.length > 4 ? 0.2 : false),
      combineWith: "AND",
      boost: { id: 4, title: 3, printed: 1.5 },
    });
    const hits = results.map(({ id, match, terms }) => this.hit(id as number, match, terms));
    const exact = this.entries.find(({ id }) => id === text);
    if (!exact) return hits;
    const first: Hit = { index: exact.index, part: "id", before: "", matched: exact.id, after: "" };
    return [first, ...hits.filter(({ index }) => index !== exact.index)];
  }

  private hit(index: number, match: Record<string, string[]>, terms: string[]): Hit {
    const entry = this.entries[index];
    const matched = new Set(Object.values(match).flat());
    const part = PARTS.filter((one) => matched.has(one)).sort((a, b) => order(a) - order(b))[0] ?? "title";
    const term = terms.find((one) => match[one]?.includes(part)) ?? "";
    return { index, part, ...around(entry?.[part] ?? "", term) };
  }
}

const order = (part: Part): number => ["title", "id", "printed", "machine"].indexOf(part);

/** A piece of a text with a term in its middle. */
export function around(text: string, term: string): Pick<Hit, "before" | "matched" | "after"> {
  const line = text.replaceAll(/\s+/g, " ");
  const at = line.toLowerCase().indexOf(term);
  if (at < 0 || term === "") return { before: line.slice(0, AROUND * 2), matched: "", after: "" };
  const start = Math.max(0, at - AROUND);
  const end = at + term.length + AROUND;
  return {
    before: (start > 0 ? "…" : "") + line.slice(start, at),
    matched: line.slice(at, at + term.length),
    after: line.slice(at + term.length, end) + (end < line.length ? "…" : ""),
  };
}
