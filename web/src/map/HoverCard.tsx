/** The plate under the pointer, or reached by keys: a larger thumbnail, title and number. */
import { library, plateId, titleOf } from "../data/library.ts";
import { Thumb } from "../parts/Thumb.tsx";
import { openPlate, space } from "../state/state.ts";
import { clusterName } from "../words.ts";
import { hovered, placement, projection, reached, thumbnailPx } from "./shown.ts";

const CARD_PX = 240;

export function HoverCard() {
  const plate = hovered.value ?? (reached.value === openPlate.value ? null : reached.value);
  const found = projection.value;
  if (plate === null || !found) return null;
  const x = (placement.value.x[plate] ?? 0) * found.scale + found.x;
  const y = (placement.value.y[plate] ?? 0) * found.scale + found.y;
  if (x < 0 || y < 0 || x > found.width || y > found.height) return null;
  const half = thumbnailPx.value / 2 + 14;
  const isLeft = x + half + CARD_PX > found.width && x > found.width / 2;
  const isUp = y > found.height * 0.55;
  const side = isLeft ? { right: `${found.width - x + half}px` } : { left: `${x + half}px` };
  const level = isUp ? { bottom: `${Math.max(8, found.height - y - half)}px` } : { top: `${Math.max(8, y - half)}px` };
  const { year } = library.plates;
  const facts = [plateId(plate), year[plate], clusterName(space.value?.cluster[plate])].filter((fact) => fact != null);
  return (
    <div class="hover-card" style={{ ...side, ...level }} aria-hidden="true">
      {thumbnailPx.value < 150 && <Thumb index={plate} size={Math.max(128, library.sprites.cell_px)} />}
      <strong>{titleOf(plate)}</strong>
      <span>{facts.join(" · ")}</span>
    </div>
  );
}
