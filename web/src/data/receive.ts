/** Loading the files of the page's data: each is a script that calls `receiveAtlas(name, value)`. Nothing is fetched. */
import type { Library, PlateDetail } from "../contract.ts";

interface ScriptPolicy {
  createScriptURL(path: string): string;
}

declare global {
  interface Window {
    receiveAtlas: (name: string, value: unknown) => void;
    trustedTypes?: { createPolicy(name: string, rules: ScriptPolicy): ScriptPolicy };
  }
}

const arrived = new Map<string, unknown>();
const asked = new Map<string, Promise<unknown>>();
const KNOWN = /^data\/(library|sprites\/\d+|plates\/[a-z0-9][a-z0-9._-]*)\.js$/;

const rules: ScriptPolicy = {
  createScriptURL(path) {
    if (!KNOWN.test(path)) throw new Error(`${path}: no file of this page`);
    return path;
  },
};
const policy = window.trustedTypes?.createPolicy("atlas", rules) ?? rules;

window.receiveAtlas = (name, value) => {
  arrived.set(name, value);
};

function load(name: string): Promise<unknown> {
  const known = asked.get(name);
  if (known) return known;
  const promise = new Promise<unknown>((resolve, reject) => {
    const script = document.createElement("script");
    script.onload = () => {
      script.remove();
      if (arrived.has(name)) resolve(arrived.get(name));
      else reject(new Error(`data/${name}.js does not hold ${name}`));
      arrived.delete(name);
    };
    script.onerror = () => {
      script.remove();
      asked.delete(name);
      reject(new Error(`data/${name}.js cannot be read`));
    };
    script.src = policy.createScriptURL(`data/${name}.js`);
    document.head.append(script);
  });
  asked.set(name, promise);
  return promise;
}

/** The library: everything that is needed before a plate is opened. */
export async function loadLibrary(): Promise<Library> {
  const found = (await load("library")) as Library;
  if (found.schema_version !== 1) throw new Error("data/library.js has another version than this page can read");
  return found;
}

/** What is shown of a plate that was opened. */
export async function loadPlate(plateId: string): Promise<PlateDetail> {
  return (await load(`plates/${plateId}`)) as PlateDetail;
}

/** The data URL of a sheet of thumbnails. */
export async function loadSheet(sheet: number): Promise<string> {
  return (await load(`sprites/${sheet}`)) as string;
}
