// Runs tippecanoe as the tiles step does, in a process of its own that a test may kill or watch.
// argv: output, tempDir, number of fields ("endless" for no end). Prints a JSON line for each event.

import { runTippecanoe } from "../../dist/tiles/tippecanoe.js";
import { planTippecanoe } from "../../dist/tiles/tippecanoe-plan.js";
import { fieldChunks } from "./geojson-fields.mjs";

const [output, tempDir, count] = process.argv.slice(2);
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const controller = new AbortController();
process.on("SIGTERM", () => controller.abort(new Error("told to end")));
const log = { debug() {}, info() {}, warn() {}, error() {}, with: () => log };

let bytes = 0;
async function* features() {
  for (let seed = 1; ; seed++) {
    for (const chunk of fieldChunks(count === "endless" ? 20_000 : Number(count), { seed })) {
      bytes += chunk.length;
      yield chunk;
    }
    if (count !== "endless") return;
  }
}

setInterval(() => say({ bytes, rss: process.memoryUsage().rss }), 200).unref();
try {
  await runTippecanoe({
    features: features(),
    output,
    tempDir,
    minZoom: 4,
    maxZoom: 14,
    program: "tippecanoe",
    plan: planTippecanoe({ onlineCpus: 2, maxThreadsWanted: 2, softNofile: 4096, hardNofile: 4096 }),
    signal: controller.signal,
    log,
  });
  say({ done: true });
} catch (error) {
  say({ error: error.message });
}
