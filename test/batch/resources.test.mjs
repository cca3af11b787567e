// Cores and memory by item, and the logs of finished items put together.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BatchLayout, itemPathOf } from "../../dist/batch/layout.js";
import { LogPack, readLog } from "../../dist/batch/log-pack.js";
import { NodeResources, nodeMemoryGiB, readNeeds } from "../../dist/batch/resources.js";
import { physicalCores } from "../../dist/parallel/threads.js";
import { command } from "../support/command.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const NODE = { cpus: 8, memoryGiB: 16 };
const item = (id, fields) => ({ id, fields, digest: "0", ...itemPathOf(id) });

test("needs come from values or columns; what cannot be is named", () => {
  const items = [item("a", { cores: "2", ram: "4G" }), item("b", { cores: 8, ram: "1900M" })];
  const needs = readNeeds({ cpus: "cores", mem: "ram" }, items, ["cores", "ram"], NODE);
  assert.deepEqual(
    [...needs],
    [
      ["a", { cpus: 2, memoryGiB: 4 }],
      ["b", { cpus: 8, memoryGiB: 1900 / 1024 }],
    ],
  );
  assert.deepEqual(readNeeds({ cpus: "3" }, items, [], NODE).get("b"), { cpus: 3, memoryGiB: 0 });
  assert.equal(readNeeds({}, items, [], NODE), undefined);
  const refused = (options, message, kind = "input") =>
    assert.throws(() => readNeeds(options, items, ["cores", "ram"], NODE), { kind, message });
  refused({ cpus: "kernels" }, /--cpus is neither a value nor a column .*cores ram.*received=kernels/, "usage");
  refused({ cpus: "9" }, /needs more than this node has .*item=a.*at most 8 cores/);
  refused({ mem: "17G" }, /needs more than this node has .*received="?0 cores, 17408 MiB/);
  items.push(item("c", { cores: "many", ram: "1G" }));
  refused({ cpus: "cores" }, /An item's cores is not what --cpus takes .*item=c.*received=many/);
});

test("items fit while their cores and memory do", () => {
  const items = ["a", "b", "c"].map((id) => item(id, {}));
  const needs = new Map([
    ["a", { cpus: 5, memoryGiB: 1 }],
    ["b", { cpus: 3, memoryGiB: 15 }],
    ["c", { cpus: 1, memoryGiB: 1 }],
  ]);
  const left = new NodeResources(NODE, needs);
  left.take(items[0]);
  assert.ok(left.fits(items[1]));
  left.take(items[1]);
  assert.ok(!left.fits(items[2]));
  left.give(items[0]);
  assert.ok(left.fits(items[2]));
  assert.ok(new NodeResources(NODE, undefined).fits(items[0]), "nothing is asked for");
  assert.ok(nodeMemoryGiB({ SLURM_MEM_PER_NODE: "512" }) <= 0.5);
});

test("items with many cores run alone, small ones together, and all of them run", {
  skip: physicalCores() < 2 && "one core",
}, async (t) => {
  const folder = tempFolder(t);
  const cores = physicalCores();
  const list = join(folder, "items.csv");
  const rows = Array.from({ length: 9 }, (_, i) => `i${i},${i % 3 === 0 ? cores : 1}`);
  writeFileSync(list, `id,cores\n${rows.join("\n")}\n`);
  const script = `echo "start {id} $OMP_NUM_THREADS" >> ${folder}/order; sleep 0.1; echo "end {id}" >> ${folder}/order; echo x > {out}/x`;
  const args = [
    "run",
    "--items",
    list,
    "--out",
    join(folder, "out"),
    "--tmp",
    folder,
    "--workers",
    "4",
    "--cpus",
    "cores",
  ];
  const run = await command("batch", [...args, "--shell", "--command", script.replaceAll("{id}", "{id}")]);
  assert.equal(run.code, 0, run.stderr);
  const open = new Map();
  for (const line of readFileSync(join(folder, "order"), "utf8").trim().split("\n")) {
    const [what, id, threads] = line.split(" ");
    if (what === "end") open.delete(id);
    else {
      const own = Number(id.slice(1)) % 3 === 0 ? cores : 1;
      assert.equal(Number(threads), own);
      open.set(id, own);
    }
    const used = [...open.values()].reduce((sum, n) => sum + n, 0);
    assert.ok(used <= cores, `${used} of ${cores} cores: ${[...open.keys()]}`);
  }
});

test("logs of finished items are put together and can be read; nothing is lost by a kill on the way", async (t) => {
  const folder = tempFolder(t);
  const layout = new BatchLayout(join(folder, "out"));
  const list = join(folder, "items.txt");
  const ids = Array.from({ length: 150 }, (_, i) => `field/${i}`);
  writeFileSync(list, `${ids.join("\n")}\n`);
  const args = ["run", "--items", list, "--out", layout.root, "--tmp", folder, "--workers", "4"];
  const run = await command("batch", [
    ...args,
    "--",
    "sh",
    "-c",
    'echo "says $1"; echo x > "$2/x"',
    "sh",
    "{id}",
    "{out}",
  ]);
  assert.equal(run.code, 0, run.stderr);
  const left = () => ids.filter((id) => existsSync(layout.log(itemPathOf(id))));
  assert.equal(left().length, 150 - 128);
  assert.equal(readdirSync(layout.packed()).length, 2);
  for (const id of ids) assert.match(await readLog(layout, itemPathOf(id)), new RegExp(`says ${id}\nc|says ${id}\n`));
  const shown = await command("batch", ["log", "--out", layout.root, ids[3]]);
  assert.equal(shown.code, 0, shown.stderr);
  assert.equal(shown.stdout, await readLog(layout, itemPathOf(ids[3])));
  const none = await command("batch", ["log", "--out", layout.root, "nobody"]);
  assert.equal(none.code, 4);

  // Killed between the pack and the removal of the files: both are there, and a line of the index is cut.
  const [id] = left();
  const before = await readLog(layout, itemPathOf(id));
  const pack = new LogPack(layout, "killed");
  for (let i = 0; i < 128; i++) pack.add(itemPathOf(i === 0 ? id : `none ${i}`));
  assert.equal(await readLog(layout, itemPathOf(id)), before);
  writeFileSync(layout.log(itemPathOf(id)), before);
  const index = join(layout.packed(), "killed.index");
  writeFileSync(index, `${readFileSync(index, "utf8")}${itemPathOf(id).shard}/${itemPathOf(id).name}\t12`);
  assert.equal(await readLog(layout, itemPathOf(id)), before);
  writeFileSync(layout.log(itemPathOf(id)), `made again\n`);
  assert.equal(await readLog(layout, itemPathOf(id)), `${before}made again\n`);
});
