/** What the page shows now, as signals. Changing one changes what depends on it, and the address. */
import { computed, signal } from "@preact/signals";
import { library, plateCount } from "../data/library.ts";
import type { Space } from "../contract.ts";
import type { Arrangement, Camera, ColourBy, View } from "./hash.ts";

export const view = signal<View>("map");
export const spaceKey = signal<string | null>(null);
export const wantedArrangement = signal<Arrangement | null>(null);
/** Whether plates have the exact places of a layout, where some hide others. */
export const isExact = signal(false);
export const colourBy = signal<ColourBy>("nothing");
export const openPlate = signal<number | null>(null);
export const isWide = signal(false);
export const selection = signal<ReadonlySet<number>>(new Set());
/** Whether the list has the selected plates only. */
export const onlySelected = signal(false);
export const camera = signal<Camera | null>(null);
/** Whether the state is being set from an address, which says itself what is in sight. */
export const fromAddress = { isNow: false };
/** Said to readers of the screen by the live region. */
export const announcement = signal("");

export function announce(text: string): void {
  announcement.value = text;
}

/** The space whose layouts and clusters are shown; null in a library without vectors. */
export const space = computed<Space | null>(
  () => library.spaces.find(({ key }) => key === spaceKey.value) ?? library.spaces[0] ?? null,
);

/** Arrangements that there are for a space. */
export function arrangementsOf(found: Space | null): Arrangement[] {
  const methods = found?.layouts.map(({ method }) => method as Arrangement) ?? [];
  const timeline: Arrangement[] = library.plates.year.some((year) => year !== null) ? ["timeline"] : [];
  return [...(["umap", "pca"] as const).filter((method) => methods.includes(method)), ...timeline, "grid"];
}

/** The arrangement that is shown: the wanted one, or the first that the space has. */
export const arrangement = computed<Arrangement>(() => {
  const found = arrangementsOf(space.value);
  const wanted = wantedArrangement.value;
  return wanted && found.includes(wanted) ? wanted : (found[0] ?? "grid");
});

export function select(plates: Iterable<number>, mode: "replace" | "add"): void {
  const found = new Set(mode === "add" ? selection.value : []);
  for (const plate of plates) if (plate >= 0 && plate < plateCount()) found.add(plate);
  selection.value = found;
  announce(found.size === 1 ? "1 plate selected" : `${found.size} plates selected`);
}

export function toggleSelected(plate: number): void {
  const found = new Set(selection.value);
  if (!found.delete(plate)) found.add(plate);
  selection.value = found;
  announce(found.size === 1 ? "1 plate selected" : `${found.size} plates selected`);
}

export function clearSelection(): void {
  selection.value = new Set();
  announce("No plate selected");
}
