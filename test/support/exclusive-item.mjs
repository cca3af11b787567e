import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Build exclusive-item.c in `folder`; the program's path. */
export function buildExclusiveItem(folder) {
  const program = join(folder, "exclusive-item");
  execFileSync("cc", ["-O1", "-o", program, fileURLToPath(new URL("exclusive-item.c", import.meta.url))]);
  return program;
}

/** What the items of `proof` have written down: {starts, ends} by id, and the ids that ran twice at once. */
export function readProof(proof) {
  const [starts, ends, twice] = [new Map(), new Map(), []];
  for (const shard of readdirSync(proof)) {
    for (const file of readdirSync(join(proof, shard))) {
      const [, id, kind] = /^(.*)\.(\w+)$/.exec(file);
      if (kind === "twice") twice.push(id);
      if (kind === "starts") starts.set(id, statSync(join(proof, shard, file)).size);
      if (kind === "ends") ends.set(id, statSync(join(proof, shard, file)).size);
    }
  }
  return { starts, ends, twice };
}

/** Results that a batch has published: what every item's `result` says, by the name of its folder. */
export function readResults(out) {
  const results = new Map();
  for (const shard of readdirSync(join(out, "items"))) {
    for (const name of readdirSync(join(out, "items", shard))) {
      results.set(name, readFileSync(join(out, "items", shard, name, "result"), "utf8"));
    }
  }
  return results;
}
