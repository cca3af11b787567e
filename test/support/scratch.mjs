import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Scratch folders of a target, each `.TARGET.RANDOM.scratch` beside it. */
export function scratchOf(target) {
  const folder = dirname(target);
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const own = (name) => name.startsWith(`.${basename(target)}.`) && /\.[0-9a-f]{12}\.scratch$/.test(name);
  return names.filter(own).map((name) => join(folder, name));
}

/** A path in the only scratch folder of a target; one that does not exist where there is none. */
export function inScratch(target, name) {
  return join(scratchOf(target)[0] ?? "/nowhere", name);
}
