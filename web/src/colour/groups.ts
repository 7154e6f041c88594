/** Groups of plates by what their frames are coloured by: clusters, ranges of numbers, tags. Pure. */
import type { Library, Space } from "../contract.ts";
import type { ColourBy } from "../state/hash.ts";
import { clusterName, decimals, plural, stabilityWords } from "../words.ts";
import { COOL, GROUPS, OTHERS, WARM } from "./palettes.ts";

export interface Group {
  key: string;
  label: string;
  colour: string;
  plates: number[];
  /** The plate that stands for the group. */
  exemplar: number | null;
}

export interface Colouring {
  title: string;
  note: string;
  groups: Group[];
  /** Frame of each plate; null for none. */
  colourOf: (string | null)[];
}

/** Colour of a group whose plates have no coloured frame. */
export const NO_FRAME = "transparent";

function members(count: number, test: (index: number) => boolean): number[] {
  return Array.from({ length: count }, (_, index) => index).filter(test);
}

function finish(title: string, note: string, groups: Group[], count: number): Colouring {
  const colourOf = new Array<string | null>(count).fill(null);
  for (const { colour, plates } of [...groups].reverse()) for (const plate of plates) if (colour !== NO_FRAME) colourOf[plate] = colour;
  return { title, note, groups: groups.filter(({ plates }) => plates.length > 0), colourOf };
}

function byCluster(library: Library, space: Space | null): Colouring {
  const count = library.plates.plate_id.length;
  const byNumber = new Map<number, number[]>();
  space?.cluster.forEach((number, plate) => {
    if (number !== null) byNumber.set(number, [...(byNumber.get(number) ?? []), plate]);
  });
  const groups = [...byNumber.keys()].sort((a, b) => a - b).map((number) => ({
    key: `cluster-${number}`,
    label: clusterName(number),
    colour: GROUPS[number] ?? OTHERS,
    plates: byNumber.get(number) ?? [],
    exemplar: space?.is_exemplar.find((plate) => space.cluster[plate] === number) ?? null,
  })); // prettier-ignore
  const alone = members(count, (plate) => space?.cluster[plate] === null && space.outlier_factor[plate] !== null);
  if (groups.length) groups.push({ key: "no-cluster", label: "in no cluster", colour: NO_FRAME, plates: alone, exemplar: null });
  const note = groups.length
    ? `Groups of plates that ${space?.title ?? ""} holds alike, found without names. ${stabilityWords(space?.cluster_stability ?? null)}.`
    : "No clusters were found in this space.";
  return finish("Cluster", note, groups, count);
}

type Ramp = readonly string[];

interface Range {
  title: string;
  note: string;
  values: readonly (number | null)[];
  bounds: readonly number[];
  labels: readonly string[];
  ramp: Ramp;
}

/** Groups of the values between bounds; a value on a bound is above it. */
function byRange({ title, note, values, bounds, labels, ramp }: Range): Colouring {
  const rank = (value: number) => bounds.filter((bound) => value >= bound).length;
  const groups = labels.map((label, number) => ({
    key: `range-${number}`,
    label,
    colour: ramp[number] ?? OTHERS,
    plates: members(values.length, (index) => {
      const value = values[index];
      return value !== null && value !== undefined && rank(value) === number;
    }),
    exemplar: null,
  }));
  return finish(title, note, groups, values.length);
}

function byYear(library: Library): Colouring {
  const years = library.plates.year;
  const known = years.filter((year) => year !== null);
  const [first, last] = [Math.min(...known), Math.max(...known)];
  const parts = Math.min(COOL.length, last - first + 1);
  const starts = Array.from({ length: parts }, (_, part) => Math.round(first + ((last + 1 - first) * part) / parts));
  const labels = starts.map((start, part) => {
    const end = (starts[part + 1] ?? last + 1) - 1;
    return end > start ? `${start}–${end}` : `${start}`;
  });
  const ramp = parts < 3 ? [COOL[1] ?? OTHERS, COOL[3] ?? OTHERS] : COOL;
  const note = known.length ? "The first year of each plate's date, as its index states it." : "No plate has a year.";
  return byRange({ title: "Year", note, values: years, bounds: starts.slice(1), labels, ramp });
}

function byPaper(library: Library): Colouring {
  const { paper, paper_lightness: lightness } = library.plates;
  const found = byRange({
    title: "Paper tone",
    note: "Each frame has the measured colour of its plate's paper. Groups are by lightness, 0 black to 100 white.",
    values: lightness,
    bounds: [60, 75, 85, 92],
    labels: ["under 60", "60 to 75", "75 to 85", "85 to 92", "92 and lighter"],
    ramp: ["#8d7f66", "#bcae92", "#d5c8ab", "#e6dcc4", "#f6f1e4"],
  });
  const groups = found.groups.map((group) => ({ ...group, colour: paper[group.plates[0] ?? -1] ?? group.colour }));
  return { ...found, groups, colourOf: paper.map((colour) => colour) };
}

function byTag(library: Library): Colouring {
  const groups = library.tags.map(({ tag, plates, people }, number) => ({
    key: `tag-${number}`,
    label: `${tag} (by ${people.join(", ")})`,
    colour: GROUPS[number] ?? OTHERS,
    plates: [...plates],
    exemplar: null,
  }));
  const note = groups.length
    ? "Words that people gave plates. A plate with several has the colour of the first."
    : "Nobody has tagged a plate yet.";
  return finish("Tag", note, groups, library.plates.plate_id.length);
}

/** The groups of a colouring; null for none. */
export function colouringOf(by: ColourBy, library: Library, space: Space | null): Colouring | null {
  const { disagreement, outlier_in: outliers } = library.plates;
  const tenths = [0.2, 0.4, 0.6, 0.8];
  const most = Math.max(0, ...library.plates.outlier_in);
  switch (by) {
    case "nothing":
      return null;
    case "cluster":
      return byCluster(library, space);
    case "disagreement":
      return byRange({
        title: "Disagreement",
        note: "How far the models differ about which plates are near this one: 0, the same plates; 1, none in common.",
        values: disagreement,
        bounds: tenths,
        labels: [0, ...tenths].map((low) => `${decimals(low, 1)} to ${decimals(low + 0.2, 1)}`),
        ramp: WARM,
      });
    case "outliers":
      return byRange({
        title: "Outliers",
        note: "In how many spaces a plate lies far from all others. An outlier may be a rarity, or a faulty scan.",
        values: outliers.map((count) => (count === 0 ? null : count)),
        bounds: [2, 3, 4],
        labels: ["in 1 space", "in 2 spaces", "in 3 spaces", `in ${plural(Math.max(4, most), "space")}${most > 4 ? " at most" : ""}`],
        ramp: WARM.slice(1),
      });
    case "paper":
      return byPaper(library);
    case "year":
      return byYear(library);
    case "tag":
      return byTag(library);
  }
}
