/** What the map is of: the instrument, the arrangement, the colours; lasso and zoom. */
import type { RefObject } from "preact";
import { library } from "../data/library.ts";
import type { Arrangement, ColourBy } from "../state/hash.ts";
import { announce, arrangement, arrangementsOf, colourBy, space, spaceKey, wantedArrangement } from "../state/state.ts";
import type { PlateMap } from "./plate_map.ts";
import { heldGroup, isLassoing, pointedGroup } from "./shown.ts";

const ARRANGEMENT_NAMES: Record<Arrangement, string> = {
  umap: "Similarity (UMAP)",
  pca: "Overview (PCA)",
  timeline: "Timeline",
  grid: "Grid",
};
const COLOUR_NAMES: Record<ColourBy, string> = {
  nothing: "Nothing",
  cluster: "Cluster",
  disagreement: "Disagreement",
  outliers: "Outliers",
  paper: "Paper tone",
  year: "Year",
  tag: "Tag",
};

export function Controls({ map }: { map: RefObject<PlateMap | null> }) {
  const found = arrangementsOf(space.value);
  return (
    <div class="controls" role="group" aria-label="What the map shows">
      {library.spaces.length > 0 && (
        <label>
          <span>Seen by</span>
          <select
            value={space.value?.key ?? ""}
            onChange={(event) => {
              spaceKey.value = event.currentTarget.value;
              announce(`Map as ${space.value?.title ?? ""} sees the plates`);
            }}
          >
            {library.spaces.map(({ key, title }) => (
              <option key={key} value={key}>
                {title}
              </option>
            ))}
          </select>
        </label>
      )}
      <label>
        <span>Arranged by</span>
        <select
          value={arrangement.value}
          onChange={(event) => {
            wantedArrangement.value = event.currentTarget.value as Arrangement;
            announce(`Arranged by ${ARRANGEMENT_NAMES[arrangement.value]}`);
          }}
        >
          {found.map((one) => (
            <option key={one} value={one}>
              {ARRANGEMENT_NAMES[one]}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>Coloured by</span>
        <select
          value={colourBy.value}
          onChange={(event) => {
            colourBy.value = event.currentTarget.value as ColourBy;
            heldGroup.value = null;
            pointedGroup.value = null;
            announce(`Frames coloured by ${COLOUR_NAMES[colourBy.value]}`);
          }}
        >
          {Object.entries(COLOUR_NAMES).map(([key, name]) => (
            <option key={key} value={key}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <div class="control-buttons">
        <button
          type="button"
          aria-pressed={isLassoing.value}
          title="Draw around plates to select them. Shift and drag does the same."
          onClick={() => {
            isLassoing.value = !isLassoing.value;
          }}
        >
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <ellipse cx="10" cy="8" rx="7.5" ry="5" stroke-dasharray="3 2" />
            <path d="M6 12.5c-2 1-2 4 .5 5" />
          </svg>
          Lasso
        </button>
        <span class="joined">
          <button type="button" aria-label="Smaller" onClick={() => map.current?.control.scaleBy(1 / 1.6)}>
            −
          </button>
          <button type="button" onClick={() => map.current?.control.show(null, true)}>
            All
          </button>
          <button type="button" aria-label="Larger" onClick={() => map.current?.control.scaleBy(1.6)}>
            +
          </button>
        </span>
      </div>
    </div>
  );
}
