// Which files an upload takes: all of one folder but, as upstream, what lies below any folder whose name begins with a dot.
import { readdirSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";

export const input = (name) => process.env[`INPUT_${name.toUpperCase()}`] ?? "";

// The folder and its files; ends the step where there are none.
export function chosen() {
  const workspace = process.env.GITHUB_WORKSPACE;
  const root = resolve(workspace, input("path"));
  const isHidden = (file) => relative(workspace, file).split(sep).some((part) => part.startsWith("."));
  let files = [];
  try {
    files = readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
      .filter((file) => input("include-hidden-files") === "true" || !isHidden(file));
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  if (files.length === 0) {
    console.log(`No files were found with the provided path: ${root}`);
    process.exit(input("if-no-files-found") === "error" ? 1 : 0);
  }
  return { root, files };
}
