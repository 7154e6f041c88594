/** The selected plates and unsaved judgements, and the files that they are saved as. */
import { useState } from "preact/hooks";
import { library, plateId } from "../data/library.ts";
import { announce, clearSelection, onlySelected, selection, space, view } from "../state/state.ts";
import { plural } from "../words.ts";
import { tagProblem } from "./csv.ts";
import { download, today } from "./download.ts";
import { judgementsCsv, selectionCsv, tagsCsv } from "./files.ts";
import { markSaved, unsaved } from "./judgements.ts";

const sorted = (): number[] => [...selection.value].sort((a, b) => a - b);

function TagForm({ onDone }: { onDone: (name: string | null) => void }) {
  const [word, setWord] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const save = () => {
    const found = tagProblem(word);
    setProblem(found);
    if (found) return;
    const name = `atlas-tags-${today()}.csv`;
    download(name, tagsCsv(sorted().map(plateId), word));
    onDone(name);
  };
  return (
    <form
      class="tag-form"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        onDone(null);
      }}
    >
      <label>
        <span>Tag for {plural(selection.value.size, "plate")}</span>
        <input value={word} onInput={(event) => setWord(event.currentTarget.value)} ref={(input) => input?.focus()} maxLength={200} />
      </label>
      <button type="submit">Save file</button>
      <button type="button" class="quiet" onClick={() => onDone(null)}>
        Cancel
      </button>
      {problem && <span role="alert">{problem}</span>}
    </form>
  );
}

function Selected({ onSaved }: { onSaved: (name: string) => void }) {
  const [isTagging, setTagging] = useState(false);
  if (isTagging) {
    const done = (name: string | null) => {
      setTagging(false);
      if (name) onSaved(name);
    };
    return <TagForm onDone={done} />;
  }
  return (
    <div class="bar-part">
      <strong>{plural(selection.value.size, "plate")} selected</strong>
      <button
        type="button"
        onClick={() => {
          onlySelected.value = true;
          view.value = "list";
        }}
      >
        Show in list
      </button>
      <button
        type="button"
        onClick={() => {
          download(`atlas-selection-${today()}.csv`, selectionCsv(library, space.value, sorted()));
          announce("Saved as CSV");
        }}
      >
        Save as CSV
      </button>
      <button type="button" onClick={() => setTagging(true)}>
        Save as tags…
      </button>
      <button type="button" class="quiet" onClick={clearSelection}>
        Clear
      </button>
    </div>
  );
}

export function SelectionBar() {
  const [saved, setSaved] = useState<string | null>(null);
  const count = unsaved.value.length;
  if (selection.value.size === 0 && count === 0 && saved === null) return null;
  return (
    <section class="selection-bar" aria-label="Selection">
      {selection.value.size > 0 && <Selected onSaved={setSaved} />}
      {count > 0 && (
        <div class="bar-part">
          <span>
            <strong>{plural(count, "judgement")}</strong> not saved yet
          </span>
          <button
            type="button"
            onClick={() => {
              const name = `atlas-judgements-${today()}.csv`;
              download(name, judgementsCsv(unsaved.value));
              markSaved();
              setSaved(name);
            }}
          >
            Save file
          </button>
        </div>
      )}
      {saved && (
        <div class="bar-part" role="status">
          <span>
            Saved. Then run <code>atlas tags import {saved}</code>
          </span>
          <button type="button" class="quiet" onClick={() => setSaved(null)}>
            Close
          </button>
        </div>
      )}
    </section>
  );
}
