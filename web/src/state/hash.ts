/** The state of the page as the part of the address behind `#`, and back. Pure. */
export const VIEWS = ["map", "list", "failures", "agreement", "about"] as const;
export type View = (typeof VIEWS)[number];
export const ARRANGEMENTS = ["umap", "pca", "timeline", "grid"] as const;
export type Arrangement = (typeof ARRANGEMENTS)[number];
export const COLOURINGS = ["nothing", "cluster", "disagreement", "outliers", "paper", "year", "tag"] as const;
export type ColourBy = (typeof COLOURINGS)[number];

/** Enlargement, 1 for all plates, and the point of the layout in the middle. */
export interface Camera {
  k: number;
  x: number;
  y: number;
}

export interface PageState {
  view: View;
  space: string | null;
  arrangement: Arrangement | null;
  isExact: boolean;
  colour: ColourBy;
  plate: string | null;
  isWide: boolean;
  selected: readonly string[];
  camera: Camera | null;
}

export const NOTHING: PageState = {
  view: "map",
  space: null,
  arrangement: null,
  isExact: false,
  colour: "nothing",
  plate: null,
  isWide: false,
  selected: [],
  camera: null,
};

/** Most plates of a selection that an address names; longer ones are not in it. */
export const MOST_SELECTED = 60;

function oneOf<Word extends string>(words: readonly Word[], found: string | null | undefined): Word | null {
  return words.find((word) => word === found) ?? null;
}

export function encodeState(state: PageState): string {
  const parts: [string, string][] = [];
  if (state.space !== null) parts.push(["space", state.space]);
  if (state.arrangement !== null) parts.push(["layout", state.arrangement]);
  if (state.isExact) parts.push(["exact", "1"]);
  if (state.colour !== "nothing") parts.push(["colour", state.colour]);
  if (state.plate !== null) parts.push(["plate", state.plate]);
  if (state.isWide) parts.push(["full", "1"]);
  if (state.selected.length > 0 && state.selected.length <= MOST_SELECTED) {
    parts.push(["selected", state.selected.join(",")]);
  }
  if (state.camera) {
    const { k, x, y } = state.camera;
    parts.push(["at", [k.toFixed(2), x.toFixed(4), y.toFixed(4)].join(",")]);
  }
  const text = parts.map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2C", ",")}`).join("&");
  return `#${state.view}${text ? `?${text}` : ""}`;
}

function cameraFrom(text: string | null): Camera | null {
  const [k, x, y] = (text ?? "").split(",").map(Number);
  if (k === undefined || x === undefined || y === undefined) return null;
  if (![k, x, y].every(Number.isFinite) || k <= 0 || k > 10_000) return null;
  return { k, x, y };
}

/** The state that an address states. What it does not state, or states wrongly, is as in `NOTHING`. */
export function decodeState(hash: string): PageState {
  const [view, query] = hash.replace(/^#/, "").split("?", 2);
  const found = new URLSearchParams(query ?? "");
  return {
    view: oneOf(VIEWS, view) ?? NOTHING.view,
    space: found.get("space"),
    arrangement: oneOf(ARRANGEMENTS, found.get("layout")),
    colour: oneOf(COLOURINGS, found.get("colour")) ?? NOTHING.colour,
    isExact: found.get("exact") === "1",
    plate: found.get("plate"),
    isWide: found.get("full") === "1",
    selected: (found.get("selected") ?? "").split(",").filter(Boolean).slice(0, MOST_SELECTED),
    camera: cameraFrom(found.get("at")),
  };
}
