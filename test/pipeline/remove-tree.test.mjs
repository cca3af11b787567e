import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { removeTree, removeTreeAsync } from "../../dist/pipeline/remove-tree.js";
import { readDocument, readNote } from "../../dist/pipeline/small-file.js";
import { asNobody, notRoot } from "../support/other-user.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const MODULE = new URL("../../dist/pipeline/remove-tree.js", import.meta.url).href;

const waited = {
  removeTree: (path) => Promise.resolve(removeTree(path)),
  removeTreeAsync,
};
for (const [name, remove] of Object.entries(waited)) {
  test(`${name}: all of a folder goes, links are not followed, nothing is nothing`, async (t) => {
    const folder = tempFolder(t);
    const kept = join(folder, "kept");
    mkdirSync(kept);
    writeFileSync(join(kept, "file"), "x");
    const tree = join(folder, "tree");
    mkdirSync(join(tree, "a", "b", "c"), { recursive: true });
    writeFileSync(join(tree, "a", "file"), "x");
    writeFileSync(Buffer.concat([Buffer.from(`${tree}/not utf-8 `), Buffer.from([0xff, 0xfe])]), "x");
    symlinkSync(kept, join(tree, "a", "link"));
    symlinkSync("nowhere", join(tree, "a", "dangling"));
    execFileSync("mkfifo", [join(tree, "fifo")]);
    await remove(tree);
    assert.deepEqual(readdirSync(folder), ["kept"]);
    symlinkSync(kept, tree);
    await remove(tree);
    await remove(tree);
    assert.deepEqual(readdirSync(kept), ["file"]);
    await remove(join(kept, "file"));
    await remove(join(folder, "not", "there"));
    assert.equal(existsSync(join(kept, "file")), false);
  });
}

test("another user's link in a sticky folder, which may not be removed, is not followed either", {
  skip: notRoot,
}, (t) => {
  // Root may remove anything: the victim is nobody here, and the link root's.
  const shared = join(tempFolder(t), "shared");
  chmodSync(dirname(shared), 0o755);
  mkdirSync(shared);
  chmodSync(shared, 0o1777);
  const precious = join(shared, "precious");
  asNobody("mkdir", precious);
  asNobody("touch", join(precious, "file"));
  symlinkSync(precious, join(shared, "planted"));
  const code = `import { removeTree } from ${JSON.stringify(MODULE)}; removeTree(process.argv[1])`;
  const node = (text) => asNobody(process.execPath, "--input-type=module", "-e", text, join(shared, "planted"));
  // The module must be readable to nobody for this to say anything.
  assert.throws(() => node(code), /EPERM/);
  assert.deepEqual(readdirSync(precious), ["file"]);
});

test("notes and documents: no link, no FIFO, no device, nothing without a limit", (t) => {
  const folder = tempFolder(t);
  const file = (name, text) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  assert.equal(readNote(file("note", "{}")), "{}");
  assert.equal(readNote(file("empty", "")), "");
  symlinkSync("note", join(folder, "link"));
  assert.throws(() => readNote(join(folder, "link")), { code: "ELOOP" });
  assert.equal(readDocument(join(folder, "link")).toString(), "{}");
  execFileSync("mkfifo", [join(folder, "fifo")]);
  symlinkSync("/dev/zero", join(folder, "zero"));
  for (const read of [readNote, readDocument]) {
    assert.throws(() => read(join(folder, "fifo")), { code: "EFTYPE" });
    assert.throws(() => read(folder), { code: "EFTYPE" });
    assert.throws(() => read(join(folder, "missing")), { code: "ENOENT" });
  }
  assert.throws(() => readDocument(join(folder, "zero")), { code: "EFTYPE" });
  assert.throws(() => readNote(file("large", "x".repeat(2 ** 16 + 1))), { code: "EFBIG" });
});
