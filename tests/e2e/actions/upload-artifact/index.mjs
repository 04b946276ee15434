// actions/upload-artifact for one folder.
import { createRequire } from "node:module";
import { join } from "node:path";

const { chosen, input } = await import(join(process.env.E2E_ACTIONS, "files.mjs"));
const { DefaultArtifactClient } = createRequire(join(process.env.E2E_ACTIONS, "index.js"))("@actions/artifact");

const { root, files } = chosen();
const { id, size } = await new DefaultArtifactClient().uploadArtifact(input("name"), files, root);
console.log(`Artifact ${input("name")} has been uploaded: ${files.length} files, ${size} bytes, id ${id}`);
