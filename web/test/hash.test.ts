import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeState, encodeState, MOST_SELECTED, NOTHING, type PageState } from "../src/state/hash.ts";

const FULL: PageState = {
  view: "map",
  space: "dinov2_base",
  arrangement: "umap",
  isExact: true,
  colour: "cluster",
  plate: "plate-012",
  isWide: true,
  selected: ["plate-001", "plate-2.b_c"],
  camera: { k: 2.5, x: -0.125, y: 0.25 },
};

test("a state is the same after a way through the address", () => {
  assert.deepEqual(decodeState(encodeState(FULL)), FULL);
  assert.deepEqual(decodeState(encodeState(NOTHING)), NOTHING);
});

test("the address is short and can be read", () => {
  assert.equal(
    encodeState(FULL),
    "#map?space=dinov2_base&layout=umap&exact=1&colour=cluster&plate=plate-012&full=1&selected=plate-001,plate-2.b_c&at=2.50,-0.1250,0.2500",
  );
});

test("a long selection is not in the address", () => {
  const many = Array.from({ length: MOST_SELECTED + 1 }, (_, i) => `plate-${i}`);
  assert.deepEqual(decodeState(encodeState({ ...FULL, selected: many })).selected, []);
});

test("what is wrong in an address is as if it were not there", () => {
  for (const hash of ["", "#", "#cellar?colour=loud&layout=4d&at=a,b,c", "#map?at=0,1,2", "#map?at=1e9,1,2", "#map?at=,,"]) {
    assert.deepEqual(decodeState(hash), NOTHING, hash);
  }
});

test("markup in an address stays a text", () => {
  const plate = "<img src=x onerror=alert(1)>&colour=year";
  assert.equal(decodeState(encodeState({ ...NOTHING, plate })).plate, plate);
});
