// actions/upload-artifact v3, which is what works on an Enterprise Server: file by file into a container, by the API of that time.
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";

const { chosen, input } = await import(join(process.env.E2E_ACTIONS, "files.mjs"));
const { ACTIONS_RUNTIME_URL, ACTIONS_RUNTIME_TOKEN, GITHUB_RUN_ID } = process.env;

async function call(method, url, body, headers) {
  const answer = await fetch(url, { method, body, headers: { Authorization: `Bearer ${ACTIONS_RUNTIME_TOKEN}`, ...headers } });
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status}`);
  return answer.json();
}

const { root, files } = chosen();
const artifacts = `${ACTIONS_RUNTIME_URL}_apis/pipelines/workflows/${GITHUB_RUN_ID}/artifacts?api-version=6.0-preview`;
const json = { "Content-Type": "application/json" };
const { fileContainerResourceUrl } = await call("POST", artifacts, JSON.stringify({ Type: "actions_storage", Name: input("name") }), json);
let size = 0;
for (const file of files) {
  const content = readFileSync(file);
  const path = encodeURIComponent(`${input("name")}/${relative(root, file)}`);
  await call("PUT", `${fileContainerResourceUrl}?itemPath=${path}`, content, { "Content-Type": "application/octet-stream" });
  size += content.length;
}
await call("PATCH", `${artifacts}&artifactName=${encodeURIComponent(input("name"))}`, JSON.stringify({ Size: size }), json);
console.log(`Artifact ${input("name")} has been uploaded: ${files.length} files, ${size} bytes`);
