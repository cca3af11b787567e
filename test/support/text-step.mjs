import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The smallest honest step: writes `text` to `made.txt` in `folder`; everything else at will. */
export function textStep(folder, text, more = {}) {
  return {
    name: "copy",
    year: 2020,
    version: 1,
    target: join(folder, "out", "made.txt"),
    record: join(folder, "state", "us_2020_copy.json"),
    errorKind: "failed",
    inputs: { text },
    validate: async () => {},
    async run(partial) {
      writeFileSync(partial, text);
      return { letters: text.length };
    },
    async verify(partial, facts) {
      const { length } = readFileSync(partial, "utf8");
      if (length !== facts.letters) throw new Error(`expected ${facts.letters} letters, found ${length}`);
    },
    ...more,
  };
}
