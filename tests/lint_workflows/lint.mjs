// Asks GitHub's own language service about workflows and actions, across repositories: unknown or missing inputs and secrets, actions
// that do not resolve, unknown contexts and functions.
//
//   node lint.mjs '{"repository": "mlgate/mlgate", "ref": "v0.1.0", "root": "/tree"}' FILE...
//
// Our own actions and reusable workflows are read from the tree, others from upstream.json: the inputs they have, at the pinned commit.
import { readFile } from "node:fs/promises";
import { register } from "node:module";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { TextDocument } from "vscode-languageserver-textdocument";
import { parse } from "yaml";

register("./json-imports.mjs", import.meta.url);
const { registerLogger, validate } = await import("@actions/languageservice");

const [own, ...files] = [JSON.parse(process.argv[2]), ...process.argv.slice(3)];
const upstream = JSON.parse(await readFile(new URL("upstream.json", import.meta.url), "utf8"));
let problems = 0;

function report(file, line, message) {
  problems += 1;
  console.log(`${relative(own.root, file)}:${line}: ${message}`);
}

function isOwn(owner, name, ref) {
  return `${owner}/${name}` === own.repository && ref === own.ref;
}

// A complaint of the service about itself would otherwise pass for "nothing found".
registerLogger({ error: (message) => report(own.root, 0, message), warn() {}, info() {}, log() {} });

const actionsMetadataProvider = {
  async fetchActionMetadata({ owner, name, ref, path }) {
    if (isOwn(owner, name, ref)) {
      return parse(await readFile(join(own.root, path ?? "", "action.yml"), "utf8").catch(() => "null")) ?? undefined;
    }
    const known = upstream[`${owner}/${name}`];
    if (path || known?.sha !== ref) return undefined;
    const inputs = Object.entries(known.inputs).map(([input, { required, deprecated }]) => [
      input,
      { description: "", required, deprecationMessage: deprecated && `The input '${input}' is deprecated` },
    ]);
    return { name, description: "", inputs: Object.fromEntries(inputs) };
  },
};

const fileProvider = {
  async getFileContent(reference) {
    if ("repository" in reference && !isOwn(reference.owner, reference.repository, reference.version)) {
      throw new Error(`${reference.owner}/${reference.repository}@${reference.version} is neither ours nor in upstream.json`);
    }
    return { name: reference.path, content: await readFile(join(own.root, reference.path), "utf8") };
  },
};

for (const file of files) {
  const text = await readFile(file, "utf8");
  const document = TextDocument.create(pathToFileURL(file).href, "yaml", 1, text);
  for (const { message, range } of await validate(document, { actionsMetadataProvider, fileProvider })) {
    report(file, range.start.line + 1, message);
  }
  // `# v1.2.3` beside a SHA is what people read: it has to be true.
  for (const [index, line] of text.split("\n").entries()) {
    const pinned = /uses: +([\w.-]+\/[\w.-]+)@([0-9a-f]{40})(?:\s*(?:[,}].*?)?# *(\S+))?/.exec(line);
    if (pinned && upstream[pinned[1]] && upstream[pinned[1]].version !== pinned[3]) {
      report(file, index + 1, `${pinned[1]}@${pinned[2].slice(0, 12)} is ${upstream[pinned[1]].version}, the comment says ${pinned[3]}`);
    }
  }
}
process.exit(problems ? 1 : 0);
