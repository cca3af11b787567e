// Exit 0 when node_modules holds what package-lock.json says, and that says what package.json asks for; else 1.
// npm writes node_modules/.package-lock.json last, so an install cut short is not in step.
import { existsSync, readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

const read = (path) => JSON.parse(readFileSync(path, "utf8"));

function inStep() {
  if (!existsSync("node_modules/.package-lock.json")) return false;
  const installed = read("node_modules/.package-lock.json").packages;
  const wanted = read("package-lock.json").packages;
  const asked = read("package.json");
  for (const kind of ["dependencies", "devDependencies"]) {
    if (!isDeepStrictEqual(asked[kind] ?? {}, wanted[""][kind] ?? {})) return false;
  }
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === "") return true;
    // npm leaves out optional packages of other platforms.
    if (installed[path] === undefined) return optional === true;
    return installed[path].version === version && existsSync(`${path}/package.json`);
  });
}

process.exit(inStep() ? 0 : 1);
