import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Options that submit to the test cluster as to Betzy or Saga, in a file of the user's own as people would. */
export function testProfile(folder, base) {
  const path = join(folder, `${base}.json`);
  const jobTypes = { betzy: { preproc: { qos: null, partition: "preproc" } }, saga: { normal: { partition: "saga" } } };
  writeFileSync(path, JSON.stringify({ basedOn: base, jobTypes: jobTypes[base] }));
  return ["--cluster", base, "--cluster-profile", path, "--account", "test"];
}
