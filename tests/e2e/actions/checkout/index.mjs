// actions/checkout from the bare repository E2E_ORIGIN. Without a ref the event's commit is checked out, as the event has it in E2E_SHA.
// E2E_LEFTOVERS is what the workspace of a machine of one's own holds already, which a checkout with `clean: false` leaves there.
import { execFileSync } from "node:child_process";
import { cpSync } from "node:fs";

const input = (name) => process.env[`INPUT_${name.toUpperCase()}`] ?? "";
const cwd = process.env.GITHUB_WORKSPACE;
const git = (...args) => execFileSync("git", args, { cwd, stdio: ["ignore", "inherit", "inherit"] });
const wanted = input("ref") || process.env.E2E_SHA;

if (input("persist-credentials") !== "false") throw new Error("a job keeps its token on the disk");
if (process.env.E2E_LEFTOVERS) cpSync(process.env.E2E_LEFTOVERS, cwd, { recursive: true, preserveTimestamps: true });
git("init", "--quiet", ".");
git("remote", "add", "origin", process.env.E2E_ORIGIN);
if (input("fetch-depth") === "0") {
  git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*");
  git("fetch", "--quiet", "origin", wanted);
} else {
  git("fetch", "--quiet", `--depth=${input("fetch-depth")}`, "origin", wanted);
}
git("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD");
if (input("lfs") === "true") git("lfs", "pull");
if (input("submodules") !== "false") git("-c", "protocol.file.allow=always", "submodule", "update", "--init", "--quiet");
git("--no-pager", "log", "-1", "--oneline");
