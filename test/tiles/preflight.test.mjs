import assert from "node:assert/strict";
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileSystemOf, fileSystemType } from "../../dist/system/file-system.js";
import { openFileLimits, preflight, tippecanoeVersion } from "../../dist/tiles/preflight.js";
import { chooseTempDir, tempDirName } from "../../dist/tiles/temp-dir.js";
import { tempFolder, userFolder } from "../support/temp-folder.mjs";
import { tinyDisk } from "../support/tiny-disk.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

const GIB = 2 ** 30;
const disk = (name, freeBytes, more = {}) => ({ name, freeBytes, network: false, memory: false, ...more });

/** Surroundings of a machine: path → file system. Nothing of this machine's own folders is looked at or tidied. */
function machine(systems, availableMemory = 256 * GIB, problems = {}) {
  return {
    async fileSystemOf(path) {
      if (systems[path] === undefined) throw new Error(`ENOENT: no such file or directory, statfs '${path}'`);
      return systems[path];
    },
    availableMemory: () => availableMemory,
    problem: (path) => problems[path],
    sweep() {},
  };
}

const request = { scratch: undefined, besideOutput: "/work", name: "n", bytesNeeded: 40 * GIB };
const shm = (bytes) => disk("tmpfs", bytes, { memory: true });
const lustre = disk("Lustre", 9000 * GIB, { network: true });

test("types of file systems are told by their numbers", () => {
  assert.deepEqual(fileSystemType(0x0bd00bd0), { name: "Lustre", network: true, memory: false });
  assert.deepEqual(fileSystemType(0x6969), { name: "NFS", network: true, memory: false });
  assert.deepEqual(fileSystemType(0x47504653), { name: "GPFS", network: true, memory: false });
  assert.deepEqual(fileSystemType(0x19830326), { name: "BeeGFS", network: true, memory: false });
  assert.deepEqual(fileSystemType(0x65735546), { name: "FUSE", network: true, memory: false });
  // CIFS, as a platform with signed numbers says it.
  assert.deepEqual(fileSystemType(0xff534d42 | 0), { name: "CIFS", network: true, memory: false });
  assert.deepEqual(fileSystemType(0xef53), { name: "ext4", network: false, memory: false });
  assert.deepEqual(fileSystemType(0x01021994), { name: "tmpfs", network: false, memory: true });
  assert.deepEqual(fileSystemType(0x1234), { name: "0x1234", network: false, memory: false });
});

test("a real folder's file system has a name and free bytes", async () => {
  const system = await fileSystemOf(tmpdir());
  assert.ok(system.name.length > 2);
  assert.ok(system.freeBytes > 0);
});

test("/dev/shm is taken where it fits", async () => {
  const around = machine({ "/dev/shm": shm(126 * GIB), [tmpdir()]: disk("ext4", 900 * GIB), "/work": lustre });
  const chosen = await chooseTempDir(request, around);
  assert.deepEqual([chosen.place, chosen.fileSystem, chosen.refused], ["/dev/shm", "tmpfs", []]);
  assert.ok(chosen.path.startsWith(`${join(userFolder("/dev/shm"), "n")}-`));
  assert.notEqual(chosen.path, (await chooseTempDir(request, around)).path, "its name cannot be foreseen");
});

test("/dev/shm is memory: it may take half of what is available", async () => {
  const around = machine({ "/dev/shm": shm(126 * GIB), [tmpdir()]: disk("ext4", 900 * GIB) }, 64 * GIB);
  const chosen = await chooseTempDir(request, around);
  assert.equal(chosen.place, tmpdir());
  assert.match(chosen.refused[0], /\/dev\/shm: needs 40960 MiB, 32768 MiB half of the available memory/);
});

test("network file systems are refused with the reason, also beside the output", async () => {
  const around = machine({
    "/dev/shm": shm(GIB),
    [tmpdir()]: disk("NFS", 900 * GIB, { network: true }),
    "/work": lustre,
  });
  await assert.rejects(chooseTempDir(request, around), (error) => {
    assert.equal(error.kind, "space");
    assert.match(error.message, /--scratch/);
    assert.match(error.where.refused, /\/dev\/shm: needs 40960 MiB, 1024 MiB free/);
    assert.match(error.where.refused, /lies on NFS/);
    assert.match(error.where.refused, /\/work: lies on Lustre/);
    return true;
  });
});

test("--scratch is used and no other: refused for its kind, its size or its absence", async () => {
  const around = machine({
    "/dev/shm": shm(126 * GIB),
    "/lustre": lustre,
    "/small": disk("xfs", GIB),
    "/big": disk("xfs", 99 * GIB),
  });
  const choose = (scratch) => chooseTempDir({ ...request, scratch }, around);
  assert.equal((await choose("/big")).place, "/big");
  await assert.rejects(choose("/lustre"), { kind: "usage", message: /lies on Lustre/ });
  await assert.rejects(choose("/nowhere"), { kind: "usage", message: /ENOENT/ });
  await assert.rejects(choose("/small"), { kind: "space", message: /needs 40960 MiB, 1024 MiB free/ });
});

test("a place where another user has taken the folder's name is passed over; as --scratch it is refused", async () => {
  const systems = { "/dev/shm": shm(126 * GIB), [tmpdir()]: disk("ext4", 900 * GIB) };
  const taken = { "/dev/shm": "/dev/shm/fields-pipeline-7 belongs to another user (uid 8)" };
  const around = machine(systems, 256 * GIB, taken);
  const chosen = await chooseTempDir(request, around);
  assert.equal(chosen.place, tmpdir());
  assert.deepEqual(chosen.refused, [`/dev/shm: ${taken["/dev/shm"]}`]);
  await assert.rejects(chooseTempDir({ ...request, scratch: "/dev/shm" }, around), {
    kind: "usage",
    message: /belongs to another user/,
  });
});

test("the temporary folder's name tells root, region and year", () => {
  const name = tempDirName("/data/work", "us", 2020);
  assert.equal(name, tempDirName("/data/work", "us", 2020));
  assert.equal(new Set([name, tempDirName("/data/other", "us", 2020), tempDirName("/data/work", "us", 2021)]).size, 3);
});

test("limits of open files are those that a child gets", async () => {
  const { softNofile, hardNofile } = await openFileLimits();
  assert.ok(softNofile > 0 && softNofile <= hardNofile);
});

test("a program that is missing, is not tippecanoe or is too old is told before anything else", async (t) => {
  const folder = tempFolder(t);
  const script = (name, text) => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
    return join(folder, name);
  };
  const missing = join(folder, "nothing");
  await assert.rejects(tippecanoeVersion(missing), (error) => {
    assert.equal(error.kind, "tool");
    assert.match(error.message, /not found.*install-tippecanoe.*--tippecanoe/);
    assert.equal(error.where.program, missing);
    return true;
  });
  await assert.rejects(tippecanoeVersion(script("other", "echo something else")), {
    kind: "tool",
    message: /something else/,
  });
  await assert.rejects(tippecanoeVersion(script("old", "echo 'tippecanoe v1.36.0' >&2")), {
    kind: "tool",
    message: /too old.*expected=2\.31 or newer.*received=tippecanoe v1\.36\.0/,
  });
  assert.equal(await tippecanoeVersion(script("new", "echo 'tippecanoe v2.82.0' >&2")), "tippecanoe v2.82.0");
});

test("preflight on this machine: all sound, or space that is missing beside the output", {
  skip: noTippecanoe,
}, async (t) => {
  const folder = tempFolder(t);
  const asked = {
    program: "tippecanoe",
    output: join(folder, "a.pmtiles"),
    maxZoom: 14,
    inputBytes: 5e6,
    threads: 2,
    scratch: folder,
    tempDirName: "temp",
  };
  const ready = await preflight(asked);
  assert.match(ready.version, /^tippecanoe v2/);
  assert.equal(ready.tempDir.place, folder);
  assert.equal(ready.plan.ok, true);
  assert.deepEqual(ready.estimate, { tempBytes: 10e6, archiveBytes: 4e6 });
  assert.deepEqual(readdirSync(folder), [], "nothing is made before the run");
  await assert.rejects(preflight({ ...asked, inputBytes: 1e18, scratch: undefined }), { kind: "space" });
  const tiny = tinyDisk(t, "1m");
  if (tiny === undefined) return t.diagnostic("mount is not permitted here: output space not tried");
  await assert.rejects(preflight({ ...asked, output: join(tiny, "a.pmtiles") }), (error) => {
    assert.equal(error.kind, "space");
    assert.equal(error.where.path, tiny);
    assert.deepEqual([error.where.neededMiB, error.where.freeMiB], [8, 1]);
    return true;
  });
  await assert.rejects(preflight({ ...asked, scratch: tiny }), { kind: "space" });
  writeFileSync(asked.output, "here");
  await assert.rejects(preflight(asked), { kind: "usage", message: /there already/ });
});
