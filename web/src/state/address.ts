/** Keeps the address and the state the same: steps of a person are entries of the history, zoom and selection are not. */
import { batch, effect } from "@preact/signals";
import { indexOf, plateId } from "../data/library.ts";
import { decodeState, encodeState, type PageState } from "./hash.ts";
import {
  arrangement, camera, colourBy, fromAddress, isExact, isWide, openPlate, selection, space, spaceKey, view, wantedArrangement,
} from "./state.ts"; // prettier-ignore

const QUIET_MS = 250;

function present(): PageState {
  return {
    view: view.value,
    space: space.value?.key ?? null,
    arrangement: arrangement.value,
    isExact: isExact.value,
    colour: colourBy.value,
    plate: openPlate.value === null ? null : plateId(openPlate.value),
    isWide: isWide.value,
    selected: [...selection.value].map(plateId),
    camera: camera.value,
  };
}

function apply(state: PageState): void {
  fromAddress.isNow = true;
  batch(() => {
    view.value = state.view;
    spaceKey.value = state.space;
    wantedArrangement.value = state.arrangement;
    isExact.value = state.isExact;
    colourBy.value = state.colour;
    openPlate.value = state.plate === null ? null : indexOf(state.plate);
    isWide.value = state.isWide;
    const found = state.selected.map(indexOf).filter((index) => index !== null);
    if (found.length > 0 || selection.value.size <= state.selected.length) selection.value = new Set(found);
    camera.value = state.camera;
  });
  fromAddress.isNow = false;
}

/** The address of another view, with everything else as it is. */
export function hashOfView(target: PageState["view"]): string {
  return encodeState({ ...present(), view: target, plate: null, isWide: false });
}

/** The whole address of what is shown. */
export function linkToThis(): string {
  return location.href.replace(/#.*$/, "") + encodeState(present());
}

export function followAddress(): void {
  apply(decodeState(location.hash));
  let steps = "";
  let timer = 0;
  effect(() => {
    const now = present();
    const hash = encodeState(now);
    const step = encodeState({ ...now, selected: [], camera: null });
    const isStep = steps !== "" && step !== steps;
    steps = step;
    window.clearTimeout(timer);
    if (hash === location.hash) return;
    if (isStep) history.pushState(null, "", hash);
    else timer = window.setTimeout(() => history.replaceState(null, "", hash), QUIET_MS);
  });
  window.addEventListener("popstate", () => {
    window.clearTimeout(timer);
    const state = decodeState(location.hash);
    steps = encodeState({ ...state, selected: [], camera: null });
    apply(state);
  });
}
