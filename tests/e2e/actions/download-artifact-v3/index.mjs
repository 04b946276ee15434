// actions/download-artifact v3 without a name: all artifacts of the run, a folder each. It knows no pattern.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

const { ACTIONS_RUNTIME_URL, ACTIONS_RUNTIME_TOKEN, GITHUB_RUN_ID, GITHUB_WORKSPACE } = process.env;
if (process.env.INPUT_PATTERN) throw new Error("version 3 knows no pattern");
const target = resolve(GITHUB_WORKSPACE, process.env.INPUT_PATH ?? ".");

async function get(url) {
  const answer = await fetch(url, { headers: { Authorization: `Bearer ${ACTIONS_RUNTIME_TOKEN}` } });
  if (!answer.ok) throw new Error(`GET ${url}: ${answer.status}`);
  return answer;
}

const listed = await get(`${ACTIONS_RUNTIME_URL}_apis/pipelines/workflows/${GITHUB_RUN_ID}/artifacts?api-version=6.0-preview`);
const { value: artifacts } = await listed.json();
for (const { name, fileContainerResourceUrl } of artifacts) {
  const { value: items } = await (await get(`${fileContainerResourceUrl}?itemPath=${encodeURIComponent(name)}`)).json();
  for (const { path, itemType, contentLocation } of items) {
    if (itemType !== "file") continue;
    const file = resolve(target, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, Buffer.from(await (await get(contentLocation)).arrayBuffer()));
  }
}
console.log(`There were ${artifacts.length} artifacts downloaded: ${artifacts.map((artifact) => artifact.name).join(", ")}`);
