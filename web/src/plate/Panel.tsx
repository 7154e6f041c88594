/** The open plate: a panel beside the view, or the whole page. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { PlateDetail } from "../contract.ts";
import { library, plateCount, plateId, titleOf } from "../data/library.ts";
import { loadPlate } from "../data/receive.ts";
import { Thumb } from "../parts/Thumb.tsx";
import { announce, isWide, openPlate, selection, toggleSelected } from "../state/state.ts";
import { NeighboursPart } from "./Neighbours.tsx";
import { Palette } from "./Palette.tsx";
import { PicturePart, pointedRegion, pointedRow } from "./Picture.tsx";
import { DetectionsPart, ProbesPart, TextsPart } from "./Readings.tsx";
import { FactsPart, OddPart, ProvenancePart, TagsPart } from "./Record.tsx";
import { Section } from "./Section.tsx";

type Loaded = { index: number; detail: PlateDetail } | { index: number; problem: string };

function useDetail(index: number): Loaded | null {
  const [found, setFound] = useState<Loaded | null>(null);
  useEffect(() => {
    let isWanted = true;
    pointedRegion.value = null;
    pointedRow.value = null;
    loadPlate(plateId(index)).then(
      (detail) => isWanted && setFound({ index, detail }),
      (error: unknown) => isWanted && setFound({ index, problem: error instanceof Error ? error.message : String(error) }),
    );
    return () => {
      isWanted = false;
    };
  }, [index]);
  return found?.index === index ? found : null;
}

export function close(): void {
  openPlate.value = null;
  isWide.value = false;
  announce("Plate closed");
}

/** The plate before or after, among the selected ones if this one is selected. */
function step(index: number, by: 1 | -1): void {
  const among = selection.value.has(index) && selection.value.size > 1 ? [...selection.value].sort((a, b) => a - b) : null;
  const count = among?.length ?? plateCount();
  const at = among ? among.indexOf(index) : index;
  const next = (at + by + count) % count;
  openPlate.value = among ? (among[next] ?? index) : next;
}

function ColoursPart({ detail }: { detail: PlateDetail }) {
  return (
    <Section id="colours" title="Colours" sql={detail.colours_sql} explain="The dominant colours, with their share of the picture.">
      {detail.colours.length === 0 ? <p class="empty">Its colours were not measured.</p> : <Palette colours={detail.colours} />}
      {detail.paper && (
        <p class="paper">
          <span class="swatch" style={{ backgroundColor: detail.paper.colour }} /> Paper: <code>{detail.paper.colour}</code>,{" "}
          {Math.round(detail.paper.share * 100)}% of the picture
        </p>
      )}
    </Section>
  );
}

function Tools({ index }: { index: number }) {
  const isSelected = selection.value.has(index);
  return (
    <div class="panel-tools">
      <button type="button" class="quiet" aria-label="Plate before" onClick={() => step(index, -1)}>
        ←
      </button>
      <button type="button" class="quiet" aria-label="Next plate" onClick={() => step(index, 1)}>
        →
      </button>
      <button type="button" class="quiet" aria-pressed={isSelected} onClick={() => toggleSelected(index)}>
        {isSelected ? "Selected" : "Select"}
      </button>
      <span class="gap" />
      <button type="button" class="quiet wide-button" aria-pressed={isWide.value} onClick={() => (isWide.value = !isWide.value)}>
        {isWide.value ? "Beside the map" : "Full view"}
      </button>
      <button type="button" class="quiet" aria-label="Print this plate" onClick={() => window.print()}>
        Print
      </button>
      <button type="button" class="quiet close" onClick={close}>
        Close
      </button>
    </div>
  );
}

export function Panel({ index }: { index: number }) {
  const found = useDetail(index);
  const heading = useRef<HTMLHeadingElement>(null);
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    panel.current?.scrollTo(0, 0);
    if (!document.activeElement?.closest("#map, .panel-tools")) heading.current?.focus();
    announce(`${titleOf(index)} opened`);
  }, [index]);
  const year = library.plates.year[index];
  const facts = [plateId(index), year ?? null].filter((fact) => fact !== null);
  return (
    <aside class={`panel${isWide.value ? " is-wide" : ""}`} ref={panel} aria-label="Plate" data-plate={plateId(index)}>
      <Tools index={index} />
      <header class="panel-head">
        <h2 ref={heading} tabIndex={-1}>
          <bdi>{titleOf(index)}</bdi>
        </h2>
        <p>{facts.join(" · ")}</p>
      </header>
      {found === null && (
        <p class="empty" role="status">
          <Thumb index={index} size={library.sprites.cell_px} /> Loading…
        </p>
      )}
      {found && "problem" in found && (
        <p class="empty" role="alert">
          <Thumb index={index} size={library.sprites.cell_px} /> This plate's details are not in the page's folder ({found.problem}).
        </p>
      )}
      {found && "detail" in found && (
        <div class="panel-body">
          <div class="panel-picture">
            <PicturePart detail={found.detail} index={index} />
          </div>
          <div class="panel-text">
            <ColoursPart detail={found.detail} />
            <NeighboursPart detail={found.detail} />
            <TextsPart detail={found.detail} />
            <ProbesPart detail={found.detail} />
            <DetectionsPart detail={found.detail} />
            <OddPart detail={found.detail} index={index} />
            <FactsPart detail={found.detail} index={index} />
            <TagsPart detail={found.detail} />
            <ProvenancePart detail={found.detail} />
          </div>
        </div>
      )}
    </aside>
  );
}
