import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// A folder of the test's own, removed after it.
export function tempFolder(t) {
  const folder = mkdtempSync(join(tmpdir(), "fields-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
