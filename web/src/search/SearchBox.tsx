/** The search field and what it found, as a list that arrow keys go through. */
import { useMemo, useRef, useState } from "preact/hooks";
import { library, plateId, titleOf } from "../data/library.ts";
import { Thumb } from "../parts/Thumb.tsx";
import { announce, openPlate, select } from "../state/state.ts";
import { plural } from "../words.ts";
import { type Hit, type Part, Search } from "./index.ts";

const MOST_SHOWN = 12;
const PART_NAMES: Record<Part, string> = {
  id: "Plate",
  title: "Title",
  printed: "Text on the plate, read by a machine",
  machine: "Words that a machine wrote",
};

let made: Search | null = null;
const search = (): Search => (made ??= new Search(library));

function Found({ hit, id, isActive, onChoose }: { hit: Hit; id: string; isActive: boolean; onChoose: () => void }) {
  const isTitle = hit.part === "title" || hit.part === "id";
  return (
    <li id={id} role="option" aria-selected={isActive} onMouseDown={(event) => event.preventDefault()} onClick={onChoose}>
      <Thumb index={hit.index} size={44} />
      <span>
        <strong>
          <bdi>{titleOf(hit.index)}</bdi>
        </strong>
        <small>
          {plateId(hit.index)} · {PART_NAMES[hit.part]}
          {!isTitle && ": "}
          {!isTitle && (
            <bdi>
              {hit.before}
              <mark>{hit.matched}</mark>
              {hit.after}
            </bdi>
          )}
        </small>
      </span>
    </li>
  );
}

export function SearchBox() {
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const hits = useMemo(() => (query.trim() ? search().ask(query) : []), [query]);
  const shown = hits.slice(0, MOST_SHOWN);
  const isShown = isOpen && query.trim() !== "";
  const choose = (hit: Hit | undefined) => {
    if (!hit) return;
    openPlate.value = hit.index;
    setOpen(false);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setActive(Math.min(shown.length - 1, active + 1));
    else if (event.key === "ArrowUp") setActive(Math.max(0, active - 1));
    else if (event.key === "Enter") choose(shown[active]);
    else if (event.key === "Escape" && isShown) setOpen(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      class="search"
      role="search"
      ref={box}
      onFocusOut={(event) => {
        if (!box.current?.contains(event.relatedTarget as Node | null)) setOpen(false);
      }}
    >
      <input
        type="search"
        role="combobox"
        list={undefined}
        placeholder="Search titles, numbers, printed text"
        aria-label="Search titles, numbers and printed text"
        aria-expanded={isShown}
        aria-controls="search-found"
        aria-autocomplete="list"
        aria-activedescendant={isShown && shown.length > 0 ? `found-${active}` : undefined}
        value={query}
        onFocus={() => {
          search();
          setOpen(true);
        }}
        onInput={(event) => {
          setQuery(event.currentTarget.value);
          setActive(0);
          setOpen(true);
        }}
        onKeyDown={onKeyDown}
      />
      <div class="search-found" hidden={!isShown}>
        <p role="status">{isShown && (hits.length === 0 ? "No plate matches." : `${plural(hits.length, "plate")} found`)}</p>
        <ul id="search-found" role="listbox" aria-label="Plates found">
          {isShown &&
            shown.map((hit, number) => (
              <Found key={hit.index} id={`found-${number}`} hit={hit} isActive={number === active} onChoose={() => choose(hit)} />
            ))}
        </ul>
        {hits.length > 0 && (
          <button
            type="button"
            class="quiet"
            onClick={() => {
              select(hits.map(({ index }) => index), "replace");
              setOpen(false);
              announce(`${plural(hits.length, "plate")} selected`);
            }}
          >
            Select all {hits.length.toLocaleString("en-GB")}
          </button>
        )}
      </div>
    </div>
  );
}
