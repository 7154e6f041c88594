/** The library, set once before anything is drawn, and what is looked up in it by name. */
import type { Instrument, Library, Space } from "../contract.ts";

export let library: Library;
let indexById = new Map<string, number>();
let tagsByPlate = new Map<number, string[]>();

export function setLibrary(found: Library): void {
  library = found;
  indexById = new Map(found.plates.plate_id.map((id, index) => [id, index]));
  tagsByPlate = new Map();
  for (const { tag, plates } of found.tags) {
    for (const plate of plates) tagsByPlate.set(plate, [...(tagsByPlate.get(plate) ?? []), tag]);
  }
}

export const plateCount = (): number => library.plates.plate_id.length;
export const plateId = (index: number): string => library.plates.plate_id[index] ?? "";
export const indexOf = (id: string): number | null => indexById.get(id) ?? null;
export const tagsOf = (index: number): string[] => tagsByPlate.get(index) ?? [];

/** The plate's title, or its id if it has none. */
export const titleOf = (index: number): string => library.plates.title[index]?.trim() || plateId(index);

export const spaceOf = (key: string): Space | null => library.spaces.find((space) => space.key === key) ?? null;

export const instrumentOf = (key: string): Instrument | null =>
  library.instruments.find((instrument) => instrument.key === key) ?? null;

/** The name that a person knows an instrument or space by. */
export const nameOf = (key: string): string => instrumentOf(key)?.title ?? spaceOf(key)?.title ?? key;
