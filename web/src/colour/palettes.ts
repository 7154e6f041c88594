/** Colours of frames and legends. Groups: Paul Tol's scheme "muted", which colour-blind readers can tell apart. */
export const GROUPS = [
  "#cc6677", "#44aa99", "#ddcc77", "#5b4fb3", "#88ccee", "#117733", "#aa4499", "#999933", "#882255",
]; // prettier-ignore
export const OTHERS = "#9a968e";
/** From little to much. */
export const WARM = ["#f0dfae", "#dcb365", "#bf7f3c", "#94502b", "#5f2420"];
export const COOL = ["#d3e4da", "#9cc5bc", "#5f9f9e", "#357685", "#1b4a5e"];
