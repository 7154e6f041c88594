/** Numbers and times in words. Pure. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en-GB")} ${count === 1 ? one : many}`;
}

/** A share of 0 to 1 as a percentage; what is less than half a percent is said so. */
export function percent(share: number): string {
  if (share > 0 && share < 0.005) return "under 1%";
  return `${Math.round(share * 100)}%`;
}

export const decimals = (value: number, digits = 2): string => value.toFixed(digits).replace("-", "−");

/** A time in ISO 8601 as `14 March 2026, 09:26 UTC`; as it stands if it is none. */
export function time(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
  const clock = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
  return `${day}, ${clock} UTC`;
}

/** How far spaces differ about a plate's neighbours, 0 to 1. */
export function disagreementWords(value: number): string {
  if (value < 0.25) return "The models largely agree about which plates are like this one";
  if (value < 0.5) return "The models agree in part about which plates are like this one";
  if (value < 0.75) return "The models mostly disagree about which plates are like this one";
  return "The models disagree almost wholly about which plates are like this one";
}

/** How stable clusters are under resampled plates: adjusted Rand index. */
export function stabilityWords(value: number | null): string {
  if (value === null) return "Their stability was not measured";
  if (value < 0.5) return `They are not stable: other plates would give other clusters (${decimals(value)})`;
  if (value < 0.75) return `They are fairly stable (${decimals(value)} of 1)`;
  return `They are stable (${decimals(value)} of 1)`;
}

/** The cluster by the number that the catalogue and judgements of people use, from 0. */
export const clusterName = (cluster: number | null | undefined): string =>
  cluster === null || cluster === undefined ? "in no cluster" : `cluster ${cluster}`;

/** The first characters of a digest or revision. */
export const short = (digest: string): string => digest.slice(0, 12);
