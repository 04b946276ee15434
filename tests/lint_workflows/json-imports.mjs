// The language service is made for bundlers: it imports JSON files without saying so, which Node.js refuses. Loaded by lint.mjs.
import { readFile } from "node:fs/promises";

export async function load(url, context, next) {
  if (!url.endsWith(".json")) return next(url, context);
  return { format: "module", shortCircuit: true, source: `export default ${await readFile(new URL(url), "utf8")}` };
}
