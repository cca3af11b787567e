// The watch over what tests must leave alone, itself looked at.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { watchPlaces } from "../support/watched-places.mjs";

test("what a test removes, changes or leaves in TMPDIR, HOME or /dev/shm is noticed", (t) => {
  const places = watchPlaces();
  t.after(() => places.close());
  const mounts = places.wrap(["true"])[0] === "unshare";
  const run = (text) => {
    const [program, ...args] = places.wrap(["sh", "-c", text]);
    execFileSync(program, args, { env: { ...process.env, ...places.env } });
  };
  run("ls /dev/shm $TMPDIR $HOME > /dev/null");
  assert.deepEqual(places.changes(), []);
  const { TMPDIR, HOME } = places.env;
  run(`rm -r $TMPDIR/n; echo more >> $HOME/notes.txt; mkdir $TMPDIR/new; ${mounts ? "rm -r /dev/shm/temp" : ""}`);
  const changes = places.changes();
  for (const wanted of [`removed: ${TMPDIR}/n`, `changed: ${HOME}/notes.txt`, `left behind: ${TMPDIR}/new`])
    assert.ok(changes.includes(wanted), changes.join("\n"));
  if (mounts) assert.ok(changes.includes("removed: /dev/shm/temp"), changes.join("\n"));
  run("rm $TMPDIR/link $HOME/../kept/file");
  assert.ok(places.changes().some((change) => change.endsWith("/kept/file")));
});
