/** A sentence below the map that says what nearness means in it, and where its numbers are from. */
import { library, plateCount } from "../data/library.ts";
import { CopySql } from "../parts/CopySql.tsx";
import { announce, arrangement, isExact, space } from "../state/state.ts";
import { canSpread } from "./placement.ts";

export function Explanation() {
  const found = space.value;
  const layout = found?.layouts.find(({ method }) => method === arrangement.value);
  const sentence = {
    umap: `Plates that lie near each other look alike to ${found?.title ?? "this model"}.`,
    pca: `Plates that lie near each other look alike to ${found?.title ?? "this model"}, seen along its two main axes.`,
    timeline: "Plates by the first year that their index states, oldest on the left.",
    grid: "All plates in order of their number.",
  }[arrangement.value];
  return (
    <div class="explanation">
      <p>{plateCount() === 0 ? "There are no plates yet." : sentence}</p>
      {canSpread(arrangement.value, plateCount()) && (
        <span>
          {isExact.value ? "Pictures lie where the layout has them." : "Pictures are moved apart, so that each can be seen."}{" "}
          <button
            type="button"
            class="word"
            onClick={() => {
              isExact.value = !isExact.value;
              announce(isExact.value ? "Exact places" : "Pictures moved apart");
            }}
          >
            {isExact.value ? "Move them apart" : "Show exact places"}
          </button>
        </span>
      )}
      <details>
        <summary>About this map</summary>
        <div class="explanation-more">
          {layout && <p>{layout.note}</p>}
          <p>
            Drag to move, scroll or pinch to enlarge. Click a picture to open it. Hold Shift and draw around pictures to
            select them.
          </p>
          <CopySql sql={layout?.sql ?? library.plates_sql} what="these places" />
        </div>
      </details>
    </div>
  );
}
