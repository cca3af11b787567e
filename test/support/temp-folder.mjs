import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// A folder of the test's own, removed after it.
export function tempFolder(t) {
  const folder = mkdtempSync(join(tmpdir(), "fields-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A path below `folder` as the pipeline names its own temporary folders. */
export function tempDirIn(folder, name = "temp") {
  return join(userFolder(folder), name);
}

/** Where this user's temporary folders lie in a place that all users share. */
export function userFolder(place) {
  return join(place, `fields-pipeline-${process.geteuid()}`);
}

/** Temporary folders below `place` whose names begin so. */
export function tempDirsIn(place, prefix) {
  const parent = userFolder(place);
  const names = existsSync(parent) ? readdirSync(parent) : [];
  return names.filter((name) => name.startsWith(prefix)).map((name) => join(parent, name));
}
