import assert from "node:assert/strict";
import { test } from "node:test";
import { colouringOf } from "../src/colour/groups.ts";
import { looksOf } from "../src/map/looks.ts";
import { nextPlate, plateAt, platesInside } from "../src/map/picking.ts";
import { place, yearStep } from "../src/map/placement.ts";
import { spread } from "../src/map/spread.ts";
import { COLOURED, DIM, RAISED, SELECTED } from "../src/map/renderer.ts";
import { madeLibrary, madeSpace } from "./made.ts";

const SCREEN = { x: Float32Array.of(10, 100, 100, 200), y: Float32Array.of(10, 10, 100, 14), size: 20, shape: (): [number, number] => [1, 0.5] };

test("a lasso has the plates whose middle is inside", () => {
  assert.deepEqual(platesInside(SCREEN, [[0, 0], [150, 0], [0, 150]]), [0, 1]); // prettier-ignore
  assert.deepEqual(platesInside(SCREEN, [[90, 0], [110, 0], [110, 120], [90, 120]]), [1, 2]); // prettier-ignore
  assert.deepEqual(platesInside(SCREEN, [[0, 0], [300, 300]]), []); // prettier-ignore
});

test("a point is on a plate within its thumbnail only", () => {
  assert.equal(plateAt(SCREEN, 19, 10, null), 0);
  assert.equal(plateAt(SCREEN, 10, 18, null), null);
});

test("of plates on top of each other the raised one is found, or the first", () => {
  const both = { ...SCREEN, x: Float32Array.of(10, 12), y: Float32Array.of(10, 10) };
  assert.equal(plateAt(both, 11, 10, null), 0);
  assert.equal(plateAt(both, 11, 10, 1), 1);
});

test("arrows go to the nearest plate ahead", () => {
  assert.equal(nextPlate(SCREEN, 0, "right"), 1);
  assert.equal(nextPlate(SCREEN, 1, "right"), 3);
  assert.equal(nextPlate(SCREEN, 1, "down"), 2);
  assert.equal(nextPlate(SCREEN, 0, "left"), null);
});

test("a layout keeps its proportions, and plates without a vector stand aside", () => {
  const { x, y, aside, asideLabel, height } = place(madeLibrary(), madeSpace(), "pca", 1.6, true);
  const [dx, dy] = [(x[1] ?? 0) - (x[0] ?? 0), (y[1] ?? 0) - (y[0] ?? 0)];
  assert.ok(Math.abs(dx / -dy - 2) < 1e-5, `${dx} ${dy}`);
  assert.deepEqual(aside, [2]);
  assert.equal(asideLabel?.text, "No vector in this space");
  assert.ok((y[2] ?? 0) > 0.5 && height > 1);
});

test("plates that would hide each other are moved apart, each the same way every time", () => {
  const heap: [number, number][] = Array.from({ length: 60 }, (_, i) => [0.001 * (i % 7), 0.001 * (i % 5)]);
  const size = 0.05;
  const moved = spread(heap, size);
  assert.deepEqual(spread(heap, size), moved);
  const gaps = moved.map(([x, y], i) => Math.min(...moved.map(([u, v], j) => (i === j ? 1 : Math.hypot(x - u, y - v)))));
  assert.ok(Math.min(...gaps) > size * 0.7, `${Math.min(...gaps)}`);
  const alone = spread([[0, 0], [1, 0]], size); // prettier-ignore
  assert.ok(Math.abs((alone[1]?.[0] ?? 0) - 1) < 1e-9, "who hides nobody stays");
});

test("a grid has every plate in its own cell, row by row", () => {
  const { x, y, size } = place(madeLibrary(), null, "grid", 1.6, false);
  const cells = new Set(Array.from(x, (value, i) => `${value.toFixed(3)} ${y[i]?.toFixed(3)}`));
  assert.equal(cells.size, 4);
  assert.ok((x[1] ?? 0) > (x[0] ?? 0) && y[1] === y[0] && size > 0);
});

test("the timeline has years from left to right, and plates without one aside", () => {
  const { x, labels, aside } = place(madeLibrary(), null, "timeline", 1.6, false);
  assert.deepEqual(labels.map(({ text }) => text), ["1827", "1828", "1829", "1830"]);
  assert.ok((x[2] ?? 0) < (x[0] ?? 0));
  assert.deepEqual(aside, [1]);
});

test("long times are in steps", () => {
  assert.equal(yearStep(1827, 1838), 1);
  assert.equal(yearStep(1700, 1838), 5);
  assert.equal(yearStep(1000, 2000), 50);
});

test("groups have the plates of their range, and unstable clusters are called so", () => {
  const library = madeLibrary();
  const found = colouringOf("disagreement", library, madeSpace());
  assert.deepEqual(found?.groups.map(({ label, plates }) => [label, plates]), [["0.0 to 0.2", [0]], ["0.4 to 0.6", [3]], ["0.8 to 1.0", [1]]]);
  const none = colouringOf("cluster", library, madeSpace({ cluster: [0, null, null, 0] }));
  assert.deepEqual(none?.groups.at(-1)?.plates, [1], "a plate without a vector is in none for another reason");
  assert.deepEqual(none?.colourOf, ["#cc6677", null, null, "#cc6677"]);
  assert.match(colouringOf("cluster", library, madeSpace())?.note ?? "", /not stable/);
  assert.deepEqual(colouringOf("cluster", library, madeSpace())?.groups[0]?.plates, [0, 3]);
  assert.equal(colouringOf("outliers", library, madeSpace())?.groups.at(-1)?.label, "in 5 spaces at most");
  assert.equal(colouringOf("paper", library, madeSpace())?.colourOf[0], "#f0e6d2");
  assert.equal(colouringOf("nothing", library, madeSpace()), null);
});

test("looks have the frame's colour and the plate's state", () => {
  const looks = looksOf({ count: 3, colourOf: ["#ff0010", null, null], selected: new Set([1]), highlighted: new Set([0]), raised: [2] });
  assert.deepEqual([...looks], [255, 0, 16, COLOURED, 0, 0, 0, SELECTED | DIM, 0, 0, 0, RAISED]);
});
