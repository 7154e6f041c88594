import assert from "node:assert/strict";
import { test } from "node:test";
import { csv, csvForSpreadsheets, guarded, tagProblem } from "../src/save/csv.ts";
import { judgementsCsv, selectionCsv, tagsCsv } from "../src/save/files.ts";
import { madeLibrary, madeSpace } from "./made.ts";

test("cells with commas, quotes and breaks are quoted", () => {
  assert.equal(csv(["a", "b"], [['x,"y"', "one\ntwo"], [null, 3]]), '\ufeffa,b\r\n"x,""y""","one\ntwo"\r\n,3\r\n');
});

test("no cell for a spreadsheet is a formula", () => {
  for (const text of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]) assert.equal(guarded(text), `'${text}`);
  assert.equal(guarded("a=b"), "a=b");
  assert.equal(csvForSpreadsheets(["n"], [[-1.5], ["-1.5"]]), "\ufeffn\r\n-1.5\r\n'-1.5\r\n");
});

test("a selection has what is known of its plates", () => {
  assert.equal(
    selectionCsv(madeLibrary(), madeSpace(), [1, 2]),
    "\ufeffplate_id,title,year,licence,paper,disagreement,outlier_in,space,cluster,tags\r\n" +
      "plate-002,'=Owl,,,,0.9,1,one,1,hand\r\n" +
      'plate-003,"Barn owl, with ""prey""",1827,,#ffffff,,5,one,,\r\n',
  );
});

test("a tag is for each plate", () => {
  assert.equal(tagsCsv(["plate-001", "plate-002"], " by hand "), "\ufeffplate_id,tag\r\nplate-001,by hand\r\nplate-002,by hand\r\n");
});

test("a judgement names its row", () => {
  const rows = judgementsCsv([
    { plate_id: "plate-001", run_id: "run-1", segment_id: "seg-001", judgement: "rejected" },
    { plate_id: "plate-001", space: "one", cluster: 0, judgement: "corrected", corrected: "none" },
  ]).split("\r\n");
  assert.equal(rows[1], "plate-001,run-1,seg-001,,,,,rejected,");
  assert.equal(rows[2], "plate-001,,,,,one,0,corrected,none");
});

test("a tag is one line of at most 100 printable characters", () => {
  assert.equal(tagProblem("by hand"), null);
  assert.equal(tagProblem("à la main"), null);
  for (const word of ["", "  ", "a\nb", "a\u200bb", "a\u00a0b", "a".repeat(101)]) assert.notEqual(tagProblem(word), null, word);
});
