/** Where each plate lies in an arrangement. Pure. The plates' area is `aspect` wide and 1 high, its middle at 0, y down. */
import type { Library, Space } from "../contract.ts";
import type { Arrangement } from "../state/hash.ts";
import { MOST_SPREAD, spread } from "./spread.ts";

export interface Label {
  x: number;
  y: number;
  text: string;
  /** Width that there is for the label; labels of narrow columns are left out by turns. */
  room: number;
}

export interface Placement {
  x: Float32Array;
  y: Float32Array;
  /** Longer side of a thumbnail when all plates are shown. */
  size: number;
  /** A thumbnail grows as enlargement to this power: 1 where plates have places of their own, less where they overlap. */
  growth: number;
  /** Plates that have no place in the arrangement; they stand below the others. */
  aside: number[];
  asideLabel: Label | null;
  labels: Label[];
  /** Height with those that stand aside; the area begins at -0.5. */
  height: number;
}

const ASIDE_GAP = 0.085;

function emptyPlacement(count: number): Placement {
  const [x, y] = [new Float32Array(count), new Float32Array(count)];
  return { x, y, size: 0.1, growth: 1, aside: [], asideLabel: null, labels: [], height: 1 };
}

/** Puts plates in rows of cells from a corner. Returns the number of rows. */
function fill(placement: Placement, plates: readonly number[], left: number, top: number, columns: number, pitch: number): number {
  plates.forEach((plate, place) => {
    placement.x[plate] = left + ((place % columns) + 0.5) * pitch;
    placement.y[plate] = top + (Math.floor(place / columns) + 0.5) * pitch;
  });
  return Math.ceil(plates.length / columns);
}

function setAside(placement: Placement, plates: number[], aspect: number, text: string): void {
  if (plates.length === 0) return;
  const pitch = placement.size * 1.08;
  const columns = Math.max(1, Math.floor(aspect / pitch));
  const top = 0.5 + ASIDE_GAP;
  const rows = fill(placement, plates, -aspect / 2, top, columns, pitch);
  placement.aside = plates;
  placement.asideLabel = { x: -aspect / 2, y: top, text, room: aspect };
  placement.height = 1 + ASIDE_GAP + rows * pitch;
}

/** Whether plates of an arrangement are moved apart unless a person wants their exact places. */
export const canSpread = (arrangement: Arrangement, count: number): boolean =>
  (arrangement === "umap" || arrangement === "pca") && count <= MOST_SPREAD;

function bounds(places: readonly [number, number][]): { left: number; right: number; top: number; bottom: number } {
  const found = { left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity };
  for (const [x, y] of places) {
    [found.left, found.right] = [Math.min(found.left, x), Math.max(found.right, x)];
    [found.top, found.bottom] = [Math.min(found.top, y), Math.max(found.bottom, y)];
  }
  return found;
}

/** Places moved and scaled alike in both directions, so that they fill a width or a height around 0; and the scale. */
function fit(places: readonly [number, number][], width: number, height: number): [[number, number][], number] {
  const { left, right, top, bottom } = bounds(places);
  const scale = Math.min(width / (right - left || 1), height / (bottom - top || 1));
  return [places.map(([x, y]) => [(x - (left + right) / 2) * scale, (y - (top + bottom) / 2) * scale]), scale];
}

function projection(space: Space, method: Arrangement, aspect: number, isExact: boolean): Placement {
  const layout = space.layouts.find((one) => one.method === method);
  const count = space.cluster.length;
  const placement = emptyPlacement(count);
  const placed: number[] = [];
  const aside: number[] = [];
  for (let i = 0; i < count; i++) (layout?.x[i] != null && layout.y[i] != null ? placed : aside).push(i);
  const isSpread = !isExact && canSpread(method, count);
  placement.size = Math.min(0.15, (isSpread ? 0.72 : 0.8) * Math.sqrt(aspect / Math.max(1, placed.length)));
  placement.growth = isSpread ? 0.9 : 0.8;
  const [width, height] = [aspect - placement.size, 1 - placement.size];
  let [places] = fit(placed.map((i) => [layout?.x[i] ?? 0, -(layout?.y[i] ?? 0)]), width, height);
  if (isSpread) {
    let scale = 1;
    [places, scale] = fit(spread(places, placement.size), width, height);
    placement.size *= Math.min(1, scale);
  }
  placed.forEach((i, number) => {
    [placement.x[i], placement.y[i]] = places[number] ?? [0, 0];
  });
  setAside(placement, aside, aspect, "No vector in this space");
  return placement;
}

function grid(count: number, aspect: number): Placement {
  const placement = emptyPlacement(count);
  let columns = Math.max(1, Math.ceil(Math.sqrt(count * aspect)));
  while (Math.ceil(count / columns) * (aspect / columns) > 1) columns += 1;
  const pitch = Math.min(aspect / columns, 0.35);
  const rows = Math.ceil(count / columns);
  const plates = Array.from({ length: count }, (_, index) => index);
  fill(placement, plates, (-columns * pitch) / 2, (-rows * pitch) / 2, columns, pitch);
  placement.size = pitch * 0.86;
  return placement;
}

const STEPS = [1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000];
const MOST_COLUMNS = 32;

/** The first step of years that needs few enough columns. */
export function yearStep(first: number, last: number): number {
  const count = (step: number) => Math.floor(last / step) - Math.floor(first / step) + 1;
  return STEPS.find((step) => count(step) <= MOST_COLUMNS) ?? 1000;
}

function timeline(library: Library, aspect: number): Placement {
  const years = library.plates.year;
  const placement = emptyPlacement(years.length);
  const known = years.filter((year) => year !== null);
  const [first, last] = [Math.min(...known), Math.max(...known)];
  const step = yearStep(first, last);
  const start = Math.floor(first / step);
  const columns: number[][] = Array.from({ length: Math.floor(last / step) - start + 1 }, () => []);
  const aside: number[] = [];
  years.forEach((year, plate) => (year === null ? aside : (columns[Math.floor(year / step) - start] ?? aside)).push(plate));
  const width = aspect / columns.length;
  const fits = (pitch: number) =>
    columns.every(({ length }) => Math.ceil(length / Math.max(1, Math.floor((width * 0.92) / pitch))) * pitch <= 0.94);
  let pitch = Math.min(width * 0.92, 0.3);
  while (!fits(pitch) && pitch > 1e-4) pitch *= 0.97;
  const across = Math.max(1, Math.floor((width * 0.92) / pitch));
  columns.forEach((plates, number) => {
    const left = -aspect / 2 + number * width + (width - across * pitch) / 2;
    plates.forEach((plate, place) => {
      placement.x[plate] = left + ((place % across) + 0.5) * pitch;
      placement.y[plate] = 0.44 - (Math.floor(place / across) + 0.5) * pitch;
    });
    const from = (start + number) * step;
    const text = step === 1 ? `${from}` : `${from}–${String(from + step - 1).slice(-2)}`;
    placement.labels.push({ x: -aspect / 2 + (number + 0.5) * width, y: 0.45, text, room: width });
  });
  placement.size = pitch * 0.88;
  setAside(placement, aside, aspect, "No year is stated");
  return placement;
}

/** The places of all plates: exact, or moved apart where pictures would hide each other. */
export function place(
  library: Library,
  space: Space | null,
  arrangement: Arrangement,
  aspect: number,
  isExact: boolean,
): Placement {
  if (arrangement === "timeline") return timeline(library, aspect);
  if (arrangement === "grid" || space === null) return grid(library.plates.plate_id.length, aspect);
  return projection(space, arrangement, aspect, isExact);
}
