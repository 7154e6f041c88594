/** All plates as a table that can be sorted: the same as the map, in words. */
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { library, plateId, tagsOf, titleOf } from "../data/library.ts";
import { CopySql } from "../parts/CopySql.tsx";
import { PlateButton } from "../parts/PlateButton.tsx";
import { announce, onlySelected, openPlate, select, selection, space, toggleSelected } from "../state/state.ts";
import { decimals, plural } from "../words.ts";
import { Pages } from "./Pages.tsx";
import { type Order, sortPlates, type SortKey } from "./sorting.ts";

const PAGE = 100;
const order = signal<Order>({ by: "plate", isDown: false });
const page = signal(0);

const COLUMNS: { key: SortKey; name: string; note: string }[] = [
  { key: "plate", name: "Plate", note: "In order of number" },
  { key: "title", name: "Title", note: "" },
  { key: "year", name: "Year", note: "First year that its index states" },
  { key: "cluster", name: "Cluster", note: "In the space that the map is of" },
  { key: "disagreement", name: "Disagreement", note: "How far the models differ about its neighbours, 0 to 1" },
  { key: "outliers", name: "Outlier in", note: "Number of spaces in which it lies far from all others" },
  { key: "paper", name: "Paper", note: "Measured colour; sorted by lightness" },
];

function Heading({ column }: { column: (typeof COLUMNS)[number] }) {
  const { by, isDown } = order.value;
  const isSorted = by === column.key;
  return (
    <th scope="col" aria-sort={isSorted ? (isDown ? "descending" : "ascending") : "none"}>
      <button
        type="button"
        title={column.note}
        onClick={() => {
          order.value = { by: column.key, isDown: isSorted && !isDown };
          page.value = 0;
          announce(`Sorted by ${column.name}, ${order.value.isDown ? "descending" : "ascending"}`);
        }}
      >
        {column.name} <span aria-hidden="true">{isSorted ? (isDown ? "↓" : "↑") : ""}</span>
      </button>
    </th>
  );
}

function Row({ index }: { index: number }) {
  const { plates } = library;
  const cell = (value: ComponentChildren) => <td>{value ?? <span class="none">–</span>}</td>;
  const disagreement = plates.disagreement[index];
  const paper = plates.paper[index];
  const isSelected = selection.value.has(index);
  return (
    <tr class={openPlate.value === index ? "is-open" : isSelected ? "is-selected" : ""}>
      <td>
        <input type="checkbox" checked={isSelected} aria-label={`Select ${titleOf(index)}`} onChange={() => toggleSelected(index)} />
      </td>
      <th scope="row">
        <PlateButton index={index} size={52} note={plateId(index)} />
        <small>{plateId(index)}</small>
      </th>
      <td class="title">
        <bdi>{titleOf(index)}</bdi>
        {tagsOf(index).map((tag) => (
          <span class="tag" key={tag}>
            {tag}
          </span>
        ))}
      </td>
      {cell(plates.year[index])}
      {cell(space.value?.cluster[index])}
      {cell(disagreement == null ? null : decimals(disagreement))}
      {cell(plates.outlier_in[index] || null)}
      {cell(
        paper && (
          <>
            <span class="swatch" style={{ backgroundColor: paper }} /> <code>{paper}</code>
          </>
        ),
      )}
    </tr>
  );
}

export function ListView() {
  const isOnly = onlySelected.value && selection.value.size > 0;
  const chosen = isOnly ? selection.value : null;
  const { by, isDown } = order.value;
  const sorted = useMemo(() => sortPlates(library, space.value, { by, isDown }, chosen), [by, isDown, chosen, space.value]);
  const first = Math.min(page.value * PAGE, Math.max(0, sorted.length - 1));
  const start = first - (first % PAGE);
  const shown = sorted.slice(start, start + PAGE);
  const areAll = shown.length > 0 && shown.every((index) => selection.value.has(index));
  return (
    <div class="view" id="list">
      <header class="view-head">
        <h2>All plates</h2>
        <p>
          {plural(sorted.length, "plate")}
          {isOnly && " of the selection"}. Clusters are those of {space.value?.title ?? "no space"}.{" "}
          <CopySql sql={library.plates_sql} what="the plates" />
        </p>
        <label class="check">
          <input
            type="checkbox"
            checked={isOnly}
            disabled={selection.value.size === 0}
            onChange={(event) => {
              onlySelected.value = event.currentTarget.checked;
              page.value = 0;
            }}
          />
          <span>Only the selected plates</span>
        </label>
      </header>
      <div class="scroller" tabIndex={0} role="region" aria-label="Table of plates">
        <table class="plates">
          <thead>
            <tr>
              <th scope="col">
                <input
                  type="checkbox"
                  checked={areAll}
                  aria-label="Select all plates of this page"
                  onChange={() => {
                    if (areAll) select([...selection.value].filter((index) => !shown.includes(index)), "replace");
                    else select(shown, "add");
                  }}
                />
              </th>
              {COLUMNS.map((column) => (
                <Heading key={column.key} column={column} />
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((index) => (
              <Row key={index} index={index} />
            ))}
          </tbody>
        </table>
      </div>
      <Pages count={sorted.length} each={PAGE} page={start / PAGE} onPage={(next) => (page.value = next)} />
    </div>
  );
}
