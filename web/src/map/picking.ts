/** Which plates are at a point, inside a lasso, or next in a direction. Pure; all in pixels of the map. */
import { polygonContains } from "d3-polygon";

export interface OnScreen {
  x: Float32Array;
  y: Float32Array;
  /** Longer side of thumbnails. */
  size: number;
  /** Width and height of a plate's thumbnail as shares of the longer side. */
  shape(index: number): [number, number];
}

/** The uppermost plate at a point: the first one. Null if there is none. */
export function plateAt(plates: OnScreen, x: number, y: number, raised: number | null): number | null {
  // Small thumbnails are easier to hit than they are to see.
  const ease = Math.max(2, 6 - plates.size / 4);
  const covers = (index: number) => {
    const [width, height] = plates.shape(index);
    return (
      Math.abs((plates.x[index] ?? 0) - x) <= (width * plates.size) / 2 + ease &&
      Math.abs((plates.y[index] ?? 0) - y) <= (height * plates.size) / 2 + ease
    );
  };
  if (raised !== null && covers(raised)) return raised;
  const half = plates.size / 2 + ease;
  for (let index = 0; index < plates.x.length; index++) {
    if (Math.abs((plates.x[index] ?? 0) - x) <= half && covers(index)) return index;
  }
  return null;
}

/** Plates whose middle is inside a lasso. */
export function platesInside(plates: Pick<OnScreen, "x" | "y">, lasso: readonly [number, number][]): number[] {
  if (lasso.length < 3) return [];
  const found: number[] = [];
  const polygon = lasso.map(([x, y]): [number, number] => [x, y]);
  plates.x.forEach((x, index) => {
    if (polygonContains(polygon, [x, plates.y[index] ?? 0])) found.push(index);
  });
  return found;
}

export type Direction = "left" | "right" | "up" | "down";

/** The nearest plate in a direction, straight ahead preferred; null if there is none. */
export function nextPlate(plates: Pick<OnScreen, "x" | "y">, from: number, direction: Direction): number | null {
  const isAcross = direction === "left" || direction === "right";
  const sign = direction === "left" || direction === "up" ? -1 : 1;
  let best: number | null = null;
  let least = Infinity;
  plates.x.forEach((x, index) => {
    const dx = x - (plates.x[from] ?? 0);
    const dy = (plates.y[index] ?? 0) - (plates.y[from] ?? 0);
    const ahead = (isAcross ? dx : dy) * sign;
    const aside = Math.abs(isAcross ? dy : dx);
    if (index === from || ahead <= 0.01 || aside > ahead * 2) return;
    const far = ahead + aside * 2;
    if (far < least) [best, least] = [index, far];
  });
  return best;
}
