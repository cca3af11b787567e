import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { asPipelineError, isNoSpace, isSystemError } from "../../dist/pipeline/errors.js";
import { buildDiskFaults, noDiskFaults } from "../support/disk-faults.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

test("a full disk and a full quota, whatever is left of the error on its way from a worker", () => {
  const unknown = { code: "UNKNOWN", errno: -122, syscall: "write" };
  const errors = [
    [Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" }), /No space left on device/],
    [new Error("cannot write", { cause: new Error("ENOSPC: no space left on device, write") }), /No space left/],
    [Object.assign(new Error("UNKNOWN: unknown error, write"), unknown), /Disk quota exceeded/],
    [new Error("UNKNOWN: unknown error, write"), /Disk quota exceeded/],
    [Object.assign(new Error("UNKNOWN: unknown error, open 'x'"), { ...unknown, syscall: "open" }), /quota/],
    [new Error("cannot write: Disk quota exceeded"), /Disk quota exceeded/],
  ];
  for (const [error, sentence] of errors) {
    assert.ok(isNoSpace(error), error.message);
    const known = asPipelineError(error, "failed", "Cannot write", { path: "f" });
    assert.equal(known.kind, "space");
    assert.match(known.message, sentence);
  }
  assert.ok(!isNoSpace(new Error("UNKNOWN: unknown error, read")));
});

test("a fault of the disk that crossed from a worker as a sentence is no bug, and is said once", () => {
  const first = asPipelineError(
    Object.assign(new Error("EIO: i/o error, write"), { code: "EIO" }),
    "failed",
    "Cannot write",
    {
      path: "cells",
    },
  );
  const crossed = new Error(first.message);
  const known = asPipelineError(crossed, "failed", "Tiles cannot be made", { tile: "6/14/24" });
  assert.ok(isSystemError(known));
  assert.equal(known.message.match(/look at its logs/g).length, 1, known.message);
  assert.ok(isSystemError(new Error("EACCES: permission denied, open '/x'")));
  for (const message of ["x is not a function", "ERROR: no, this", "Expected E: a, b"])
    assert.ok(!isSystemError(new Error(message)), message);
});

describe("disk-faults.c itself", { skip: noDiskFaults }, () => {
  const shim = noDiskFaults ? "" : buildDiskFaults(tempFolder({ after }));

  const script = (text, env) =>
    execFileSync(process.execPath, ["-e", text], {
      encoding: "utf8",
      env: { ...process.env, LD_PRELOAD: shim, ...env },
    });

  test("the call and file that are named fail from then on; half of a write is made good by Node", (t) => {
    const folder = tempFolder(t);
    const text = `
      const fs = require("fs");
      const codes = [];
      for (const name of ["a", "b", "a"]) {
        try { fs.writeFileSync(${JSON.stringify(folder)} + "/" + name, "x".repeat(1000)); codes.push(0); }
        catch (error) { codes.push(error.errno); }
      }
      console.log(JSON.stringify(codes));`;
    const fault = { FAULT_ROOT: folder, FAULT_CALL: "write", FAULT_PATH: "/a" };
    assert.deepEqual(JSON.parse(script(text, { ...fault, FAULT_ERRNO: "5" })), [-5, 0, -5]);
    assert.deepEqual(JSON.parse(script(text, { ...fault, FAULT_ERRNO: "122", FAULT_AT: "2" })), [0, 0, -122]);
    assert.deepEqual(JSON.parse(script(text, { ...fault, FAULT_ERRNO: "0" })), [0, 0, 0]);
    assert.equal(readFileSync(join(folder, "a"), "utf8").length, 1000);
    const ahead = Number(script("console.log(Date.now())", { FAULT_CLOCK: "86400" })) - Date.now();
    assert.ok(Math.abs(ahead - 86_400_000) < 60_000);
  });
});
