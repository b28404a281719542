// Builds the scripts and styles of the report's pages into ../assets, which the Python package ships.
//   npm ci && npm run build            all of them
//   npm run build -- call cohort       only these pages' files
// The same sources and package-lock.json give the same bytes.
import { build } from "esbuild";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.join(here, "..", "assets");
const pages = ["call", "cohort", "review"];
// What needs no script of its own.
const styles = ["base", "history", "index"];
const wanted = process.argv.slice(2);
const built = wanted.length ? pages.filter((page) => wanted.includes(page)) : pages;

/** The packages that an output holds, by name. */
function packagesIn(metafile) {
  const found = new Set();
  for (const input of Object.values(metafile.outputs).flatMap((output) => Object.entries(output.inputs))) {
    const [file, { bytesInOutput }] = input;
    const inside = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file);
    if (inside && bytesInOutput > 0) found.add(inside[1]);
  }
  return [...found].sort();
}

async function licence(name) {
  const folder = path.join(here, "node_modules", name);
  const facts = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8"));
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? (await readFile(path.join(folder, file), "utf8")).trim() : `Licence: ${facts.license}`;
  return `${name} ${facts.version} (${facts.license})\n\n${text}\n`;
}

await mkdir(out, { recursive: true });
const result = await build({
  absWorkingDir: here,
  entryPoints: [...built.map((page) => `src/${page}.ts`), ...styles.map((style) => `src/${style}.css`)],
  outdir: out,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});
const whole = built.length === pages.length;
if (whole) {
  const made = new Set(Object.keys(result.metafile.outputs).map((file) => path.basename(file)));
  for (const entry of await readdir(out)) if (!made.has(entry)) await rm(path.join(out, entry));
}
const licences = await Promise.all(packagesIn(result.metafile).map(licence));
const head = "The scripts in this folder hold parts of the packages below, under their licences.\n";
if (whole) await writeFile(path.join(out, "LICENSES.txt"), [head, ...licences].join(`\n${"-".repeat(72)}\n\n`));
for (const [file, { bytes }] of Object.entries(result.metafile.outputs)) {
  console.log(`${path.basename(file)}: ${bytes} bytes`);
}
