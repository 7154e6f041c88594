/** What lies over the canvas: years, the label of plates aside, the lasso, and sharper pictures of the few that are large. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { PlateDetail } from "../contract.ts";
import { library, plateCount, plateId } from "../data/library.ts";
import { loadPlate } from "../data/receive.ts";
import { plural } from "../words.ts";
import { shapeOf } from "./plate_map.ts";
import { isMoving, lasso, placement, projection, thumbnailPx } from "./shown.ts";

const MOST_SHARP = 16;
const NARROW_PX = 44;

export function AxisLabels() {
  const found = projection.value;
  if (!found) return null;
  const { labels, asideLabel, aside } = placement.value;
  const at = (x: number, y: number) => `translate(${x * found.scale + found.x}px, ${y * found.scale + found.y}px)`;
  const every = Math.ceil(NARROW_PX / Math.max(1, (labels[0]?.room ?? 1) * found.scale));
  return (
    <div class="axis-labels" aria-hidden="true">
      {labels.map(({ x, y, text }, number) =>
        number % every === 0 ? (
          <span key={text} class="year" style={{ transform: `${at(x, y)} translateX(-50%)` }}>
            {text}
          </span>
        ) : null,
      )}
      {asideLabel && (
        <span class="aside-label" style={{ transform: `${at(asideLabel.x, asideLabel.y)} translateY(-100%)` }}>
          {asideLabel.text} ({plural(aside.length, "plate")})
        </span>
      )}
    </div>
  );
}

export function LassoLine() {
  const path = lasso.value;
  if (path.length < 2) return null;
  return (
    <svg class="lasso" aria-hidden="true">
      <path d={`M${path.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}Z`} />
    </svg>
  );
}

const pictures = signal<ReadonlyMap<number, PlateDetail>>(new Map());

/** The plates in sight, if they are few; null if they are many. */
function inSight(): number[] | null {
  const found = projection.value;
  if (!found) return null;
  const half = thumbnailPx.value / 2;
  const seen: number[] = [];
  for (let i = 0; i < plateCount(); i++) {
    const x = (placement.value.x[i] ?? 0) * found.scale + found.x;
    const y = (placement.value.y[i] ?? 0) * found.scale + found.y;
    if (x < -half || y < -half || x > found.width + half || y > found.height + half) continue;
    seen.push(i);
    if (seen.length > MOST_SHARP) return null;
  }
  return seen;
}

/** Pictures in place of thumbnails that are drawn larger than they are, once the map stands still. */
export function Sharper() {
  const isLarge = thumbnailPx.value * Math.min(2, window.devicePixelRatio) > library.sprites.cell_px * 1.3;
  const seen = isLarge ? inSight() : null;
  const wanted = seen && !isMoving.value ? seen.join(",") : "";
  useEffect(() => {
    for (const plate of wanted ? wanted.split(",").map(Number) : []) {
      if (pictures.peek().has(plate)) continue;
      loadPlate(plateId(plate)).then(
        (detail) => (pictures.value = new Map(pictures.peek()).set(plate, detail)),
        () => undefined, // It stays a thumbnail.
      );
    }
  }, [wanted]);
  const found = projection.value;
  if (!found || !seen) return null;
  return (
    <div class="sharper" aria-hidden="true">
      {seen.map((plate) => {
        const picture = pictures.value.get(plate)?.picture;
        if (!picture) return null;
        const [width, height] = shapeOf(plate).map((share) => share * thumbnailPx.value) as [number, number];
        const x = (placement.value.x[plate] ?? 0) * found.scale + found.x - width / 2;
        const y = (placement.value.y[plate] ?? 0) * found.scale + found.y - height / 2;
        const style = { width: `${width}px`, height: `${height}px`, transform: `translate(${x}px, ${y}px)` };
        return <img key={plate} src={picture.path} alt="" style={style} draggable={false} />;
      })}
    </div>
  );
}
