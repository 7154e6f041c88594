// Builds the page into a folder: index.html, atlas.js, atlas.css, and the licences of what is bundled.
import { copyFile, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { build } from "esbuild";

const root = path.resolve(import.meta.dirname, "..");
const target = path.resolve(process.argv[2] ?? path.join(root, "../atlas_resources/page/built"));

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { atlas: "src/main.tsx" },
  outdir: target,
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome123", "firefox128", "safari17.5"],
  jsx: "automatic",
  jsxImportSource: "preact",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});

const inputs = Object.keys(metafile.inputs).map((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]);
const packages = [...new Set(inputs.filter(Boolean))].sort();
const licences = await Promise.all(
  packages.map(async (name) => {
    const folder = path.join(root, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).sort().find((one) => /^licen[cs]e/i.test(one));
    if (!file) throw new Error(`${name}: expected a file with its licence, found none`);
    return `${name} ${version} (${license})\n\n${(await readFile(path.join(folder, file), "utf8")).trim()}\n`;
  }),
);

await mkdir(target, { recursive: true });
await writeFile(path.join(target, "licences.txt"), licences.join(`\n${"-".repeat(80)}\n\n`));
await copyFile(path.join(root, "src/index.html"), path.join(target, "index.html"));
