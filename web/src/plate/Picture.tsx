/** The plate's picture, with what instruments found drawn over it: regions, boxes, lines of text. */
import { signal } from "@preact/signals";
import type { Box, PlateDetail } from "../contract.ts";
import { nameOf, titleOf } from "../data/library.ts";
import { percent } from "../words.ts";
import { RegionCard } from "./Regions.tsx";

/** What is drawn over the picture, such as `regions:sam_vit_b`; null before a person chose. */
const chosen = signal<string | null>(null);
/** The region that is pointed at or was last, by its id; and the box or line. */
export const pointedRegion = signal<string | null>(null);
export const pointedRow = signal<string | null>(null);

interface Shape {
  id: string;
  label: string;
  path?: string;
  box?: Box;
}

interface Overlay {
  key: string;
  name: string;
  shapes: Shape[];
}

function overlaysOf(detail: PlateDetail): Overlay[] {
  return [
    ...detail.segmentations.map(({ instrument, segments }) => ({
      key: `regions:${instrument}`,
      name: `Regions by ${nameOf(instrument)}`,
      shapes: segments.map(({ segment_id: id, path, class_name: name, area_ratio: area }) => ({
        id,
        path,
        label: `Region ${id}${name ? `, ${name}` : ""}, ${percent(area)} of the plate`,
      })),
    })),
    ...detail.detections.map(({ instrument, detections }) => ({
      key: `boxes:${instrument}`,
      name: `Boxes by ${nameOf(instrument)}`,
      shapes: detections.map(({ detection_id: id, box, label, score }) => ({ id, box, label: `${label}, score ${score.toFixed(2)}` })),
    })),
    ...detail.texts.map(({ instrument, texts }) => ({
      key: `lines:${instrument}`,
      name: `Text found by ${nameOf(instrument)}`,
      shapes: texts.flatMap(({ text_id: id, box, text }) => (box ? [{ id, box, label: `Text: ${text}` }] : [])),
    })),
  ].filter(({ shapes }) => shapes.length > 0);
}

function Drawn({ shape, isButton }: { shape: Shape; isButton: boolean }) {
  const { id, label, path, box } = shape;
  const pointed = isButton ? pointedRegion : pointedRow;
  const common = {
    class: pointed.value === id ? "shape is-pointed" : "shape",
    tabIndex: 0,
    role: isButton ? ("button" as const) : ("img" as const),
    "aria-label": label,
    onPointerEnter: () => (pointed.value = id),
    onFocus: () => (pointed.value = id),
    onClick: () => (pointed.value = id),
  };
  if (path) return <path {...common} d={path} fill-rule="evenodd" />;
  if (!box) return null;
  const size = { width: Math.max(1, box.x_max - box.x_min), height: Math.max(1, box.y_max - box.y_min) };
  return <rect {...common} x={box.x_min} y={box.y_min} {...size} />;
}

export function PicturePart({ detail, index }: { detail: PlateDetail; index: number }) {
  const { picture } = detail;
  if (!picture) return <p class="empty">This plate has no picture here: its scan could not be read.</p>;
  const overlays = overlaysOf(detail);
  const overlay = overlays.find(({ key }) => key === (chosen.value ?? overlays[0]?.key));
  const isRegions = overlay?.key.startsWith("regions:") ?? false;
  // Larger shapes first, so that smaller ones can be pointed at.
  const area = (shape: Shape) => {
    const segment = detail.segmentations.flatMap(({ segments }) => segments).find(({ segment_id: id }) => id === shape.id);
    return segment?.area_ratio ?? (shape.box ? (shape.box.x_max - shape.box.x_min) * (shape.box.y_max - shape.box.y_min) : 0);
  };
  const shapes = [...(overlay?.shapes ?? [])].sort((a, b) => area(b) - area(a));
  return (
    <figure class="picture">
      <div class="picture-stage" onPointerLeave={() => (pointedRow.value = null)}>
        <img src={picture.path} width={picture.width_px} height={picture.height_px} alt={`Plate: ${titleOf(index)}`} />
        {shapes.length > 0 && (
          <svg viewBox={`0 0 ${picture.width_px} ${picture.height_px}`} class={`${isRegions ? "is-regions" : "is-boxes"}${chosen.value === null ? " is-resting" : ""}`}>
            {shapes.map((shape) => (
              <Drawn key={shape.id} shape={shape} isButton={isRegions} />
            ))}
          </svg>
        )}
      </div>
      {overlays.length > 0 && (
        <figcaption>
          <label>
            <span>Drawn over it</span>
            <select
              value={overlay?.key ?? "nothing"}
              onChange={(event) => {
                chosen.value = event.currentTarget.value;
                pointedRegion.value = null;
                pointedRow.value = null;
              }}
            >
              <option value="nothing">Nothing</option>
              {overlays.map(({ key, name, shapes: found }) => (
                <option key={key} value={key}>
                  {name} ({found.length})
                </option>
              ))}
            </select>
          </label>
          {isRegions && <RegionCard detail={detail} instrument={overlay?.key.slice("regions:".length) ?? ""} />}
          {!isRegions && pointedRow.value && (
            <p class="pointed">{overlay?.shapes.find(({ id }) => id === pointedRow.value)?.label ?? ""}</p>
          )}
        </figcaption>
      )}
    </figure>
  );
}
