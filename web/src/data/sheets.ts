/** Sheets of thumbnails as addresses that pictures on the page can have. A sheet is loaded when it is first asked for. */
import { type Signal, signal } from "@preact/signals";
import { library } from "./library.ts";
import { loadSheet } from "./receive.ts";

const urls = new Map<number, Signal<string | null>>();

/** A blob of the bytes of a data URL. */
export function blobOf(dataUrl: string): Blob {
  const comma = dataUrl.indexOf(",");
  const kind = dataUrl.slice("data:".length, dataUrl.indexOf(";"));
  const letters = atob(dataUrl.slice(comma + 1));
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return new Blob([bytes], { type: kind });
}

/** The sheet's address, null until it is loaded. One short address a sheet, so that browsers decode it once. */
export function sheetUrl(sheet: number): Signal<string | null> {
  let url = urls.get(sheet);
  if (!url) {
    url = signal<string | null>(null);
    urls.set(sheet, url);
    const target = url;
    loadSheet(sheet).then(
      (data) => {
        target.value = URL.createObjectURL(blobOf(data));
      },
      (error: unknown) => console.warn(String(error)),
    );
  }
  return url;
}

/** Where the thumbnail of a plate is: sheet, and pixels in it; null if the plate has none. */
export function cellOf(index: number): { sheet: number; x: number; y: number; width: number; height: number } | null {
  const { cell_px, columns, rows } = library.sprites;
  const width = library.plates.thumbnail_width[index] ?? 0;
  const height = library.plates.thumbnail_height[index] ?? 0;
  if (width === 0 || height === 0) return null;
  const each = columns * rows;
  const cell = index % each;
  return {
    sheet: Math.floor(index / each),
    x: (cell % columns) * cell_px + Math.floor((cell_px - width) / 2),
    y: Math.floor(cell / columns) * cell_px + Math.floor((cell_px - height) / 2),
    width,
    height,
  };
}
