/** What the map shows at this moment, for what lies over it: labels, the hovered plate, the lasso, sharper pictures. */
import { computed, signal } from "@preact/signals";
import { colouringOf } from "../colour/groups.ts";
import { library } from "../data/library.ts";
import { arrangement, colourBy, isExact, space } from "../state/state.ts";
import type { Projection } from "./camera.ts";
import { place, type Placement } from "./placement.ts";

/** Width of the plates' area for its height 1: two shapes only, so that a cited view fits screens of a kind. */
function shapeOfWindow(): number {
  const shape = window.innerWidth / window.innerHeight;
  return shape > 1.15 ? 1.6 : 1;
}

export const aspect = signal(1.6);
export function followWindow(): void {
  const follow = () => {
    aspect.value = shapeOfWindow();
  };
  follow();
  window.addEventListener("resize", follow);
}

export const placement = computed<Placement>(() => 
  place(library, space.value, arrangement.value, aspect.value, isExact.value),
);
export const colouring = computed(() => colouringOf(colourBy.value, library, space.value));
export const projection = signal<Projection | null>(null);
/** Longer side of thumbnails, pixels. */
export const thumbnailPx = signal(40);
export const isMoving = signal(false);

export const hovered = signal<number | null>(null);
/** The plate that arrow keys have reached. */
export const reached = signal<number | null>(null);
/** The group of the legend that is pointed at, and the one that is held. */
export const pointedGroup = signal<string | null>(null);
export const heldGroup = signal<string | null>(null);
export const highlighted = computed<ReadonlySet<number> | null>(() => {
  const key = pointedGroup.value ?? heldGroup.value;
  const group = colouring.value?.groups.find((one) => one.key === key);
  return group ? new Set(group.plates) : null;
});
export const isLassoing = signal(false);
export const lasso = signal<readonly [number, number][]>([]);
/** Why the map cannot be drawn; null while it can. */
export const mapProblem = signal<string | null>(null);
