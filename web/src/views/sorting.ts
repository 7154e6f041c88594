/** The order of plates in the list. Pure. */
import type { Library, Space } from "../contract.ts";

export type SortKey = "plate" | "title" | "year" | "cluster" | "disagreement" | "outliers" | "paper";

export interface Order {
  by: SortKey;
  isDown: boolean;
}

/** Plates in an order, those without a value last; equal ones by their number. */
export function sortPlates(library: Library, space: Space | null, order: Order, among: ReadonlySet<number> | null): number[] {
  const { plates } = library;
  const value = (index: number): string | number | null => {
    switch (order.by) {
      case "plate":
        return index;
      case "title":
        return plates.title[index]?.toLocaleLowerCase() || null;
      case "year":
        return plates.year[index] ?? null;
      case "cluster":
        return space?.cluster[index] ?? null;
      case "disagreement":
        return plates.disagreement[index] ?? null;
      case "outliers":
        return plates.outlier_in[index] ?? null;
      case "paper":
        return plates.paper_lightness[index] ?? null;
    }
  };
  const found = plates.plate_id.map((_, index) => index).filter((index) => !among || among.has(index));
  const sign = order.isDown ? -1 : 1;
  const collator = new Intl.Collator("en", { numeric: true });
  return found.sort((a, b) => {
    const [first, second] = [value(a), value(b)];
    if (first === null || second === null) return first === second ? a - b : first === null ? 1 : -1;
    const less =
      typeof first === "string" && typeof second === "string"
        ? collator.compare(first, second)
        : Number(first) - Number(second);
    return less * sign || a - b;
  });
}
