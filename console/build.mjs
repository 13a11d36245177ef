// Bundles the page into dist/, which is committed: building the server needs no Node. `--check` says whether dist/ is what would be
// built, and writes nothing.
import { build } from "esbuild";
import { mkdir, readFile, writeFile } from "node:fs/promises";

const LIMIT = 200_000;
const result = await build({
  entryPoints: { console: "src/main.tsx" },
  outdir: "dist",
  bundle: true,
  minify: true,
  write: false,
  format: "iife",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  charset: "utf8",
});
const files = new Map(result.outputFiles.map((file) => [file.path.split("/").pop(), file.text]));
files.set("index.html", await readFile("src/index.html", "utf8"));
const size = [...files.values()].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
if (size > LIMIT) {
  console.error(`the page has ${size} bytes, of ${LIMIT}`);
  process.exit(1);
}
if (process.argv.includes("--check")) {
  for (const [name, text] of files) {
    const committed = await readFile(`dist/${name}`, "utf8").catch(() => "");
    if (committed !== text) {
      console.error(`console/dist/${name} is not what 'npm run build' makes of the sources`);
      process.exit(1);
    }
  }
} else {
  await mkdir("dist", { recursive: true });
  for (const [name, text] of files) await writeFile(`dist/${name}`, text);
}
console.log(`the page has ${size} bytes`);
