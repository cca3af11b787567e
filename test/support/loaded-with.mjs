import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

const DIST = new URL("../../dist/", import.meta.url);
const STATEMENT = /^(?:import|export) (?:[^;"]*? from )?"([^"]+)";$/gm;

/** Modules of dist/ and packages that are loaded with a module at once, not later by import(); Node's own left out. */
export function loadedWith(path) {
  const seen = new Set();
  const visit = (url) => {
    const name = relative(fileURLToPath(DIST), fileURLToPath(url));
    if (seen.has(name)) return;
    seen.add(name);
    for (const [, wanted] of readFileSync(url, "utf8").matchAll(STATEMENT)) {
      if (wanted.startsWith(".")) visit(new URL(wanted, url));
      else seen.add(wanted);
    }
  };
  visit(new URL(path, DIST));
  return [...seen].filter((name) => !name.startsWith("node:"));
}
