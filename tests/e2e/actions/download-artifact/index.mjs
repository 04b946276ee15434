// actions/download-artifact v8 with a pattern: no match is no failure, and a single match gets no folder of its own.
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const require = createRequire(join(process.env.E2E_ACTIONS, "index.js"));
const { DefaultArtifactClient } = require("@actions/artifact");
const { minimatch } = require("minimatch");
const input = (name) => process.env[`INPUT_${name.toUpperCase()}`] ?? "";

const client = new DefaultArtifactClient();
const path = resolve(process.env.GITHUB_WORKSPACE, input("path"));
const { artifacts } = await client.listArtifacts({ latest: true });
const wanted = artifacts.filter((artifact) => minimatch(artifact.name, input("pattern")));
for (const { id, name } of wanted) {
  await client.downloadArtifact(id, { path: wanted.length === 1 ? path : join(path, name) });
}
console.log(`Total of ${wanted.length} artifact(s) downloaded: ${wanted.map((artifact) => artifact.name).join(", ")}`);
