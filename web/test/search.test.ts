import assert from "node:assert/strict";
import { test } from "node:test";
import { around, Search } from "../src/search/index.ts";
import { sortPlates } from "../src/views/sorting.ts";
import { percent, stabilityWords, time } from "../src/words.ts";
import { madeLibrary, madeSpace } from "./made.ts";

const found = (query: string) => new Search(madeLibrary()).ask(query).map(({ index, part }) => [index, part]);

test("titles, ids, printed text and machines' words are found, and it says which", () => {
  assert.deepEqual(found("wren"), [[0, "title"]]);
  assert.deepEqual(found("plate-003")[0], [2, "id"]);
  assert.deepEqual(found("havel"), [[0, "printed"]]);
  assert.deepEqual(found("night"), [[1, "machine"]]);
  assert.deepEqual(found("sculpsti"), [[0, "printed"]], "a swapped letter");
  assert.deepEqual(found("owl prey"), [[2, "title"]]);
  assert.deepEqual(found("  "), []);
});

test("a match is shown in its surroundings", () => {
  assert.deepEqual(around("N° 12\nHavell sculpsit", "havell"), { before: "N° 12 ", matched: "Havell", after: " sculpsit" });
});

test("plates are sorted by value, those without one last", () => {
  const by = (by: "year" | "title" | "disagreement", isDown = false) => sortPlates(madeLibrary(), madeSpace(), { by, isDown }, null);
  assert.deepEqual(by("year"), [2, 0, 3, 1]);
  assert.deepEqual(by("year", true), [0, 3, 2, 1]);
  assert.deepEqual(by("disagreement", true), [1, 3, 0, 2]);
  assert.deepEqual(sortPlates(madeLibrary(), madeSpace(), { by: "plate", isDown: true }, new Set([0, 2])), [2, 0]);
});

test("numbers are in words", () => {
  assert.equal(percent(0.004), "under 1%");
  assert.equal(percent(0), "0%");
  assert.equal(time("2026-03-14T09:26:00+00:00"), "14 March 2026, 09:26 UTC");
  assert.equal(time("<b>"), "<b>");
  assert.match(stabilityWords(0.49), /not stable/);
  assert.match(stabilityWords(0.5), /fairly stable/);
});
