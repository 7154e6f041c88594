/** Moves plates of a layout apart, so that none hides another, and keeps who is near whom. Deterministic. Pure. */
import { forceCollide, forceSimulation, forceX, forceY, type SimulationNodeDatum } from "d3-force";

/** Most plates that are moved apart: more take too long, and are too small to be seen in any case. */
export const MOST_SPREAD = 3000;
const STEPS = 90;

interface Moved extends SimulationNodeDatum {
  x: number;
  y: number;
}

/** New places, in the order of the given ones. `size` is the longer side of a thumbnail in the same unit. */
export function spread(places: readonly [number, number][], size: number): [number, number][] {
  const nodes: Moved[] = places.map(([x, y]) => ({ x, y }));
  forceSimulation(nodes)
    .alphaDecay(0)
    .velocityDecay(0.5)
    .force("apart", forceCollide<Moved>(size * 0.53).strength(0.85).iterations(2))
    .force("x", forceX<Moved>((_, i) => places[i]?.[0] ?? 0).strength(0.03))
    .force("y", forceY<Moved>((_, i) => places[i]?.[1] ?? 0).strength(0.03))
    .stop()
    .tick(STEPS);
  return nodes.map(({ x, y }) => [x, y]);
}
