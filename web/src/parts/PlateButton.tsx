/** Opens a plate: its thumbnail, its title, or both. */
import type { ComponentChildren } from "preact";
import { titleOf } from "../data/library.ts";
import { openPlate } from "../state/state.ts";
import { hovered } from "../map/shown.ts";
import { Thumb } from "./Thumb.tsx";

interface Props {
  index: number;
  size: number;
  /** More of what is said of the plate, after its title. */
  note?: string;
  /** Whether the children say the plate's name. */
  isNamed?: boolean;
  children?: ComponentChildren;
  class?: string;
}

export function PlateButton({ index, size, note, isNamed, children, class: name }: Props) {
  const said = note ? `${titleOf(index)}, ${note}` : titleOf(index);
  return (
    <button
      type="button"
      class={`plate-button ${name ?? ""}`}
      title={said}
      aria-label={isNamed ? undefined : said}
      onClick={() => (openPlate.value = index)}
      onPointerEnter={() => (hovered.value = index)}
      onPointerLeave={() => (hovered.value = null)}
    >
      <Thumb index={index} size={size} />
      {children}
    </button>
  );
}
