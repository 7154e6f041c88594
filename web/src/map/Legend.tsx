/** What the frames' colours mean. Pointing at a group shows its plates alone; a click keeps it so. */
import { useState } from "preact/hooks";
import { Thumb } from "../parts/Thumb.tsx";
import { openPlate, select } from "../state/state.ts";
import { plural } from "../words.ts";
import { colouring, heldGroup, pointedGroup } from "./shown.ts";

export function Legend() {
  const [wanted, setOpen] = useState<boolean | null>(null);
  const isOpen = wanted ?? (openPlate.value === null && window.innerWidth > 860);
  const found = colouring.value;
  if (!found) return null;
  const held = found.groups.find(({ key }) => key === heldGroup.value);
  return (
    <section class={`legend${isOpen ? "" : " is-closed"}`} aria-label={`Colours: ${found.title}`}>
      <button type="button" class="legend-title" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {found.title}
      </button>
      {isOpen && (
        <>
          <p>{found.note}</p>
          <ul>
            {found.groups.map(({ key, label, colour, plates, exemplar }) => (
              <li key={key}>
                <button
                  type="button"
                  aria-pressed={heldGroup.value === key}
                  onPointerEnter={() => (pointedGroup.value = key)}
                  onPointerLeave={() => (pointedGroup.value = null)}
                  onFocus={() => (pointedGroup.value = key)}
                  onBlur={() => (pointedGroup.value = null)}
                  onClick={() => (heldGroup.value = heldGroup.value === key ? null : key)}
                >
                  <span class="swatch" style={{ backgroundColor: colour }} />
                  {exemplar !== null && (
                    <span class="legend-thumb">
                      <Thumb index={exemplar} size={30} />
                    </span>
                  )}
                  <span class="legend-label">{label}</span>
                  <span class="count">{plates.length.toLocaleString("en-GB")}</span>
                </button>
              </li>
            ))}
          </ul>
          {held && (
            <button type="button" class="quiet" onClick={() => select(held.plates, "replace")}>
              Select {plural(held.plates.length, "plate")} of “{held.label}”
            </button>
          )}
        </>
      )}
    </section>
  );
}
