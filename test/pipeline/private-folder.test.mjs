import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import {
  makePrivate,
  privatePath,
  privateProblem,
  removePrivate,
  sweepPrivate,
} from "../../dist/pipeline/private-folder.js";
import { asNobody, notRoot } from "../support/other-user.mjs";
import { tempFolder, userFolder } from "../support/temp-folder.mjs";

const MODULE = new URL("../../dist/pipeline/private-folder.js", import.meta.url).href;

/** A process that makes the folder, says so, and lives until it is killed. */
function ownerOf(path) {
  const code = `const { makePrivate } = await import(${JSON.stringify(MODULE)});
    makePrivate(${JSON.stringify(path)}); console.log("made"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve) => child.stdout.once("data", () => resolve(child)));
}

/** The note of a process of this host that is no more. */
function deadOwner(place) {
  const path = privatePath(place, "note");
  makePrivate(path);
  const note = JSON.parse(readFileSync(join(path, "owner.json"), "utf8"));
  removePrivate(path);
  return { ...note, startTicks: "1" };
}

/** A folder as /tmp is: anybody may write there, and remove only what is their own. */
function sharedFolder(t) {
  const place = join(tempFolder(t), "shared");
  chmodSync(dirname(place), 0o755);
  mkdirSync(place);
  chmodSync(place, 0o1777);
  return place;
}

function precious(t) {
  const folder = join(tempFolder(t), "precious");
  mkdirSync(folder);
  for (let i = 0; i < 10; i++) writeFileSync(join(folder, `file-${i}`), "x");
  return folder;
}

test("made for this user alone, with an owner, under a name that cannot be foreseen; gone without a trace", (t) => {
  const place = tempFolder(t);
  const [path, other] = [privatePath(place, "a"), privatePath(place, "a")];
  assert.match(path, /\/a-[0-9a-f]{16}$/);
  assert.notEqual(path, other);
  assert.equal(privateProblem(place), undefined);
  assert.deepEqual(readdirSync(place), [], "a look makes nothing");
  makePrivate(path);
  for (const made of [path, userFolder(place)]) assert.equal(statSync(made).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(path), ["owner.json"]);
  assert.equal(JSON.parse(readFileSync(join(path, "owner.json"), "utf8")).pid, process.pid);
  makePrivate(other);
  removePrivate(path);
  assert.deepEqual([existsSync(path), existsSync(other)], [false, true]);
  removePrivate(other);
  assert.deepEqual(readdirSync(place), []);
  assert.throws(() => removePrivate(join(place, "no", "private")), /Internal error/);
});

test("folders of dead processes are swept, those of live ones stay", async (t) => {
  const place = tempFolder(t);
  const [dead, live, own] = ["dead", "live", "own"].map((name) => privatePath(place, name));
  const killed = await ownerOf(dead);
  const alive = await ownerOf(live);
  t.after(() => alive.kill("SIGKILL"));
  makePrivate(own);
  writeFileSync(join(dead, "sorted"), "x".repeat(1000));
  const gone = new Promise((resolve) => killed.once("exit", resolve));
  killed.kill("SIGKILL");
  await gone;
  assert.deepEqual(sweepPrivate([place, place]), [dead]);
  assert.deepEqual([dead, live, own].map(existsSync), [false, true, true]);
});

test("what nobody can say anything of stays; folders from before a restart go, and those that a kill left half made", (t) => {
  const place = tempFolder(t);
  const mine = { ...deadOwner(place), startTicks: "0" };
  const [boot, namespace] = mine.namespace.split(" ");
  const folder = (name, owner) => {
    const path = privatePath(place, name);
    mkdirSync(path, { recursive: true });
    chmodSync(dirname(path), 0o700);
    if (owner !== undefined) writeFileSync(join(path, "owner.json"), owner);
    return path;
  };
  const old = (path) => {
    utimesSync(path, new Date(0), new Date(0));
    return path;
  };
  folder("young");
  folder("cut", '{"tok');
  folder("elsewhere", JSON.stringify({ ...mine, host: `not-${hostname()}`, pid: 1 }));
  folder("container", JSON.stringify({ ...mine, namespace: `${boot} pid:[1]` }));
  const filled = folder("filled");
  writeFileSync(join(filled, "something"), "x");
  old(filled);
  mkdirSync(join(place, "of-another-program"));
  const removed = [
    folder("boot", JSON.stringify({ ...mine, namespace: `other-boot ${namespace}` })),
    folder("reused", JSON.stringify({ ...mine, startTicks: "1" })),
    old(folder("unnoted")),
    old(folder("half-noted", "")),
  ];
  const before = readdirSync(userFolder(place)).length;
  assert.deepEqual(new Set(sweepPrivate([place, join(place, "not there")])), new Set(removed));
  assert.equal(readdirSync(userFolder(place)).length, before - removed.length);
});

describe("planted by another user in a shared folder", { skip: notRoot }, () => {
  const inPlace = [
    ["a link to a folder of the victim's", (path, target) => asNobody("ln", "-s", target, path)],
    [
      "a folder with a link and the note of a dead process",
      (path, target, note) => {
        asNobody("mkdir", path);
        asNobody("ln", "-s", target, join(path, "a-0123456789abcdef"));
        asNobody("sh", "-c", 'printf %s "$1" > "$2"', "sh", note, join(path, "owner.json"));
      },
    ],
    [
      "a folder whose owner note is a FIFO",
      (path) => {
        asNobody("mkdir", "-p", join(path, "a-0123456789abcdef"));
        asNobody("mkfifo", join(path, "a-0123456789abcdef", "owner.json"));
      },
    ],
    ["a FIFO", (path) => asNobody("mkfifo", path)],
  ];
  for (const [what, plant] of inPlace) {
    test(`${what}: nothing of the victim's is lost, nothing hangs, the place is refused`, (t) => {
      const place = sharedFolder(t);
      const target = precious(t);
      writeFileSync(join(target, "owner.json"), JSON.stringify(deadOwner(place)));
      plant(userFolder(place), target, JSON.stringify(deadOwner(place)));
      assert.deepEqual(sweepPrivate([place]), []);
      assert.match(privateProblem(place), /is no folder|belongs to another user \(uid 65534\)/);
      assert.throws(() => makePrivate(privatePath(place, "a")), /is no folder|another user|ELOOP|ENOTDIR|EPERM/);
      assert.equal(readdirSync(target).length, 11);
    });
  }

  test("the old names mean nothing any more: links under them are not followed", (t) => {
    const place = sharedFolder(t);
    const target = precious(t);
    for (const name of ["fields-pipeline-0123456789ab-us-2019", "n", "fields-batch-host-1-0123456789ab"])
      asNobody("ln", "-s", target, join(place, name));
    const path = privatePath(place, "a");
    makePrivate(path);
    sweepPrivate([place]);
    removePrivate(path);
    assert.equal(readdirSync(target).length, 10);
    assert.equal(readdirSync(place).length, 3);
  });
});

test("a folder that is open to others, or a link of the user's own, is not taken", (t) => {
  const place = tempFolder(t);
  mkdirSync(userFolder(place));
  chmodSync(userFolder(place), 0o770);
  assert.match(privateProblem(place), /open to other users \(mode 770\)/);
  assert.throws(() => makePrivate(privatePath(place, "a")), /open to other users/);
  renameSync(userFolder(place), join(place, "elsewhere"));
  symlinkSync("elsewhere", userFolder(place));
  assert.match(privateProblem(place), /is no folder/);
  assert.match(privateProblem(join(place, "missing")), /ENOENT/);
});

test("an owner note that is a FIFO, a device or a link is nobody's: it holds nothing up and its folder stays", (t) => {
  const place = tempFolder(t);
  const paths = ["fifo", "zero", "link"].map((name) => privatePath(place, name));
  for (const path of paths) makePrivate(path);
  const notes = paths.map((path) => join(path, "owner.json"));
  const kept = join(place, "note");
  writeFileSync(kept, JSON.stringify(deadOwner(place)));
  for (const note of notes) execFileSync("rm", [note]);
  execFileSync("mkfifo", [notes[0]]);
  symlinkSync("/dev/zero", notes[1]);
  symlinkSync(kept, notes[2]);
  assert.deepEqual(sweepPrivate([place]), []);
  assert.equal(readdirSync(userFolder(place)).length, 3);
});
