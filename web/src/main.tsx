/** Starts the page: reads the library, then the address, then draws. */
import { render } from "preact";
import "./styles/page.css";
import { App } from "./App.tsx";
import { setLibrary } from "./data/library.ts";
import { loadLibrary } from "./data/receive.ts";
import { followWindow } from "./map/shown.ts";
import { guardUnsaved } from "./save/judgements.ts";
import { followAddress } from "./state/address.ts";

async function start(): Promise<void> {
  const root = document.getElementById("atlas");
  if (!root) return;
  try {
    setLibrary(await loadLibrary());
  } catch (error) {
    root.textContent = `This page has lost its data (${String(error)}). Make it again with: atlas page`;
    return;
  }
  followWindow();
  followAddress();
  guardUnsaved();
  root.replaceChildren();
  render(<App />, root);
}

void start();
