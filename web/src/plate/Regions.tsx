/** The region that is pointed at: its colours, and the regions of other plates that are like it. */
import type { PlateDetail } from "../contract.ts";
import { nameOf } from "../data/library.ts";
import { CopySql } from "../parts/CopySql.tsx";
import { PlateButton } from "../parts/PlateButton.tsx";
import { decimals, percent } from "../words.ts";
import { Judge } from "./Judge.tsx";
import { Palette } from "./Palette.tsx";
import { pointedRegion } from "./Picture.tsx";

export function RegionCard({ detail, instrument }: { detail: PlateDetail; instrument: string }) {
  const found = detail.segmentations.find((one) => one.instrument === instrument);
  if (!found) return null;
  const segment = found.segments.find(({ segment_id: id }) => id === pointedRegion.value);
  if (!segment) {
    return (
      <p class="explain">
        Point at the picture to see the regions that {nameOf(instrument)} separated, or reach them with the Tab key. Each
        has its colours and its like on other plates. <CopySql sql={found.sql} what="regions" />
      </p>
    );
  }
  const { segment_id: id, class_name: name, area_ratio: area, palette, nearest, judgement } = segment;
  return (
    <div class="region" aria-live="polite">
      <h4>
        Region {id}
        {name && (
          <>
            {" "}
            · <span>{name}</span>
          </>
        )}{" "}
        <small>{percent(area)} of the plate</small> <CopySql sql={found.sql} what="regions" />
      </h4>
      <Palette colours={palette} isSmall />
      {nearest.length > 0 ? (
        <>
          <p class="explain">
            Most like it on other plates, to {nameOf(found.embedder ?? "")}:{" "}
            {found.nearest_sql && <CopySql sql={found.nearest_sql} what="the nearest regions" />}
          </p>
          <div class="strip">
            {nearest.map(({ plate, segment_id: other, cosine }) => (
              <PlateButton key={`${plate} ${other}`} index={plate} size={64} note={`region ${other}, cosine ${decimals(cosine)}`}>
                <small>{decimals(cosine)}</small>
              </PlateButton>
            ))}
          </div>
        </>
      ) : (
        <p class="explain">No instrument has compared these regions with those of other plates.</p>
      )}
      <Judge
        target={{ plate_id: detail.plate_id, run_id: found.run_id, segment_id: id }}
        what={`region ${id}`}
        judgement={judgement}
        right="What it is"
      />
    </div>
  );
}
