// The queue by which windows reach the workers.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { endQueue, newScanQueue, pushItem } from "../../dist/zonal/scan-queue.js";

const QUEUE = fileURLToPath(new URL("../../dist/zonal/scan-queue.js", import.meta.url));
const TAKER = `
  const { parentPort, workerData } = require("node:worker_threads");
  import(workerData.module).then(({ takeItem }) => {
    parentPort.postMessage("ready");
    for (let next = takeItem(workerData.queue); next; next = takeItem(workerData.queue)) parentPort.postMessage(next.item);
    parentPort.postMessage("end");
  });`;

test("a worker that waits for a later item does not swallow the notice of an earlier one", async () => {
  const queue = newScanQueue(2);
  const seen = [];
  const start = async () => {
    const worker = new Worker(TAKER, { eval: true, workerData: { module: QUEUE, queue } });
    worker.on("message", (message) => seen.push(message));
    await once(worker, "message");
    // Until it waits; were it slower, the test would see nothing wrong.
    await sleep(100);
    return worker;
  };
  // The first to wait waits for the second item.
  Atomics.store(queue.control, 0, 1);
  const second = await start();
  Atomics.store(queue.control, 0, 0);
  const first = await start();
  Atomics.store(queue.control, 0, 2);
  pushItem(queue, { item: 7, slot: 0 });
  for (let i = 0; i < 1500 && !seen.includes(7); i++) await sleep(20);
  assert.ok(seen.includes(7), "the item is taken before another comes");
  endQueue(queue);
  await Promise.all([first, second].map((worker) => once(worker, "exit")));
});
