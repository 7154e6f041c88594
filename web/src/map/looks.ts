/** Frame and state of every plate for the renderer. Pure. */
import { COLOURED, DIM, RAISED, type Rgb, SELECTED } from "./renderer.ts";

/** A colour `#rrggbb` as three bytes. */
export function bytesOf(colour: string): Rgb {
  const value = Number.parseInt(colour.slice(1, 7), 16);
  return Number.isNaN(value) ? [128, 128, 128] : [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

export interface Wanted {
  count: number;
  colourOf: readonly (string | null)[] | null;
  selected: ReadonlySet<number>;
  highlighted: ReadonlySet<number> | null;
  raised: readonly (number | null)[];
}

export function looksOf({ count, colourOf, selected, highlighted, raised }: Wanted): Uint8Array {
  const looks = new Uint8Array(count * 4);
  for (let i = 0; i < count; i++) {
    const colour = colourOf?.[i] ?? null;
    if (colour) looks.set(bytesOf(colour), i * 4);
    const flags = (selected.has(i) ? SELECTED : 0) | (colour ? COLOURED : 0);
    looks[i * 4 + 3] = flags | (highlighted && !highlighted.has(i) ? DIM : 0);
  }
  for (const plate of raised) if (plate !== null) looks[plate * 4 + 3] = ((looks[plate * 4 + 3] ?? 0) & ~DIM) | RAISED;
  return looks;
}

/** A colour as CSS computes it, such as `rgb(12, 34, 56)`, as shares of 1. */
export function sharesOf(css: string): Rgb {
  const [r, g, b] = (css.match(/[\d.]+/g) ?? []).map(Number);
  return [(r ?? 0) / 255, (g ?? 0) / 255, (b ?? 0) / 255];
}
