/** The map of plates: canvas, pointer and keys, and what lies over it. */
import { useEffect, useRef } from "preact/hooks";
import { library, titleOf } from "../data/library.ts";
import { announce, arrangement, camera, fromAddress, openPlate, select, selection, space, toggleSelected } from "../state/state.ts";
import { clusterName, plural } from "../words.ts";
import { Controls } from "./Controls.tsx";
import { HoverCard } from "./HoverCard.tsx";
import { Legend } from "./Legend.tsx";
import { Explanation } from "./Explanation.tsx";
import { AxisLabels, LassoLine, Sharper } from "./Overlays.tsx";
import { type Direction, nextPlate, plateAt, platesInside } from "./picking.ts";
import { PlateMap } from "./plate_map.ts";
import { hovered, isLassoing, lasso, mapProblem, placement, projection, reached } from "./shown.ts";

const ARROWS: Record<string, Direction> = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
};

/** What is said of a plate that the arrow keys reached. */
function spoken(plate: number): string {
  const cluster = space.value?.cluster[plate];
  const parts = [titleOf(plate), cluster == null ? null : clusterName(cluster), selection.value.has(plate) ? "selected" : null];
  return parts.filter(Boolean).join(", ");
}

function reach(map: PlateMap, plate: number): void {
  reached.value = plate;
  map.reveal(plate);
  announce(spoken(plate));
}

function onKey(map: PlateMap, event: KeyboardEvent): void {
  const direction = ARROWS[event.key];
  const at = reached.value;
  if (direction) {
    const plates = map.onScreen();
    const { width, height } = map.control.projection();
    const next = at === null ? nearestTo(plates, width / 2, height / 2) : nextPlate(plates, at, direction);
    if (next !== null) reach(map, next);
    else announce("No plate further in this direction");
  } else if (event.key === "Enter" && at !== null) openPlate.value = at;
  else if (event.key === " " && at !== null) toggleSelected(at);
  else if (event.key === "+" || event.key === "=") map.control.scaleBy(1.5);
  else if (event.key === "-") map.control.scaleBy(1 / 1.5);
  else if (event.key === "0") map.control.show(null, true);
  else if (event.key === "Escape" && at !== null && openPlate.value === null) reached.value = null;
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function nearestTo(plates: { x: Float32Array; y: Float32Array }, x: number, y: number): number | null {
  let best: number | null = null;
  let least = Infinity;
  plates.x.forEach((px, index) => {
    const far = Math.hypot(px - x, (plates.y[index] ?? 0) - y);
    if (far < least) [best, least] = [index, far];
  });
  return best;
}

/** Listens to the pointer: hovering, a click that opens, shift or the lasso's mode to select. */
function listen(host: HTMLElement, map: PlateMap): () => void {
  const controller = new AbortController();
  const { signal } = controller;
  let path: [number, number][] | null = null;
  const at = (event: PointerEvent | MouseEvent): [number, number] => {
    const box = host.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const plateUnder = ([x, y]: [number, number]) => plateAt(map.onScreen(), x, y, hovered.peek());
  host.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !(isLassoing.peek() || event.shiftKey)) return;
    path = [at(event)];
    hovered.value = null;
    host.setPointerCapture(event.pointerId);
  }, { signal }); // prettier-ignore
  host.addEventListener("pointermove", (event) => {
    if (path) {
      path.push(at(event));
      lasso.value = [...path];
    } else if (event.buttons === 0 && event.pointerType !== "touch") hovered.value = plateUnder(at(event));
  }, { signal }); // prettier-ignore
  host.addEventListener("pointerleave", () => {
    hovered.value = null;
  }, { signal }); // prettier-ignore
  const finish = (event: PointerEvent) => {
    if (!path) return;
    const drawn = path;
    const first = drawn[0] ?? ([0, 0] as const);
    path = null;
    lasso.value = [];
    const reachPx = Math.max(...drawn.map(([x, y]) => Math.hypot(x - first[0], y - first[1])));
    if (reachPx < 6) {
      const plate = plateUnder(at(event));
      if (plate !== null) toggleSelected(plate);
    } else {
      select(platesInside(map.onScreen(), drawn), event.shiftKey && selection.peek().size ? "add" : "replace");
      isLassoing.value = false;
    }
    event.preventDefault();
  };
  host.addEventListener("pointerup", finish, { signal });
  host.addEventListener("pointercancel", () => {
    path = null;
    lasso.value = [];
  }, { signal }); // prettier-ignore
  host.addEventListener("click", (event) => {
    if (event.shiftKey || isLassoing.peek()) return;
    const plate = plateUnder(at(event));
    if (plate !== null) {
      reached.value = plate;
      openPlate.value = plate;
    }
  }, { signal }); // prettier-ignore
  return () => controller.abort();
}

export function MapView() {
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const map = useRef<PlateMap | null>(null);
  useEffect(() => {
    if (!host.current || !canvas.current) return undefined;
    try {
      map.current = new PlateMap(host.current, canvas.current);
    } catch (error) {
      mapProblem.value = error instanceof Error ? error.message : String(error);
      return undefined;
    }
    const made = map.current;
    const stop = listen(host.current, made);
    const lost = (event: Event) => {
      event.preventDefault();
      mapProblem.value = "the graphics card stopped drawing";
    };
    canvas.current.addEventListener("webglcontextlost", lost);
    let isNew = true;
    const unsubscribe = openPlate.subscribe((plate) => {
      const isStated = fromAddress.isNow || (isNew && camera.peek() !== null);
      isNew = false;
      // The panel beside the map opens first.
      if (plate !== null && !isStated) window.setTimeout(() => made.reveal(plate), 60);
    });
    const element = canvas.current;
    return () => {
      element.removeEventListener("webglcontextlost", lost);
      unsubscribe();
      stop();
      made.destroy();
      projection.value = null;
      hovered.value = null;
    };
  }, []);
  const aside = placement.value.aside.length;
  const what = `Map of ${plural(library.plates.plate_id.length, "plate")}, ${arrangement.value}`;
  return (
    <div class="map-view">
      <Controls map={map} />
      <div class="map-stage">
        <div
          class={`map${isLassoing.value ? " is-lassoing" : ""}`}
          ref={host}
          id="map"
          tabIndex={0}
          role="application"
          aria-label={what}
          aria-describedby="map-keys"
          onKeyDown={(event) => map.current && onKey(map.current, event)}
          onBlur={() => {
            if (openPlate.value === null) reached.value = null;
          }}
        >
          <canvas ref={canvas} aria-hidden="true" />
          <Sharper />
          <AxisLabels />
          <LassoLine />
          <HoverCard />
        </div>
        <p id="map-keys" class="for-readers">
          Arrow keys go to the next plate in a direction, Enter opens it, the space bar selects it, plus and minus change
          the size, 0 shows all. {aside > 0 ? `${plural(aside, "plate")} stand aside below the others. ` : ""}
          The list shows the same plates as a table.
        </p>
        <Legend />
      </div>
      <Explanation />
    </div>
  );
}
