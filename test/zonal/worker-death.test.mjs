// Workers that die while they count: the scan is done once again, then given up.
import assert from "node:assert/strict";
import diagnostics from "node:diagnostics_channel";
import { join } from "node:path";
import { test } from "node:test";
import gdal from "gdal-async";
import { openFields } from "../../dist/fields/fields-file.js";
import { openRaster, ZonalEngine } from "../../dist/index.js";
import { writeFields } from "../support/duck.mjs";
import { box, polygonWkb } from "../support/shapes.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

const SIDE = 3000;

async function setUp(t) {
  const folder = tempFolder(t);
  const raster = gdal.open(join(folder, "raster.tif"), "w", "GTiff", SIDE, SIDE, 1, gdal.GDT_Byte, ["COMPRESS=LZW"]);
  raster.srs = gdal.SpatialReference.fromEPSG(5070);
  raster.geoTransform = [0, 30, 0, 90_000, 0, -30];
  const pixels = Uint8Array.from({ length: SIDE * SIDE }, (_, i) => 1 + ((i * 7919) % 251) / 13);
  raster.bands.get(1).pixels.write(0, 0, SIDE, SIDE, pixels);
  raster.close();
  const rows = Array.from({ length: 4000 }, (_, id) => {
    const [x, y] = [(id * 7919) % 88_000, (id * 104_729) % 88_000];
    return { id, wkb: polygonWkb([box(x, y, x + 100 + (id % 900), y + 100 + (id % 700))]) };
  });
  await writeFields(join(folder, "fields.parquet"), rows);
  const fields = await openFields(join(folder, "fields.parquet"), { fieldsCrs: "EPSG:5070" });
  const index = join(folder, "index.zones");
  const opened = openRaster(join(folder, "raster.tif"));
  const engine = new ZonalEngine({ threads: 1 });
  await engine.prepare(fields, opened.grid, index);
  await engine.close();
  const count = async (threads) => {
    const counting = new ZonalEngine({ threads });
    try {
      const answers = [];
      for await (const batch of counting.zonal(fields, opened, { index })) answers.push(...batch.toArray().map(String));
      return answers;
    } finally {
      await counting.close();
    }
  };
  return { count, expected: await count(1) };
}

/** Ends the first `deaths` workers that start, each when it has told that it is ready, and so has been given a task. */
function endWorkers(t, deaths) {
  let left = deaths;
  const listen = ({ worker }) => {
    if (left-- <= 0) return;
    worker.once("message", () => setImmediate(() => worker.terminate()));
  };
  diagnostics.subscribe("worker_threads", listen);
  const stop = () => diagnostics.unsubscribe("worker_threads", listen);
  t.after(stop);
  return { ended: () => deaths - Math.max(0, left), stop };
}

test("a worker that dies while it counts costs a scan, and no answer", async (t) => {
  const { count, expected } = await setUp(t);
  for (const threads of [1, 2]) {
    const { ended, stop } = endWorkers(t, 1);
    assert.deepEqual(await count(threads), expected);
    assert.equal(ended(), 1);
    stop();
  }
});

test("workers that die again end the scan with the raster's name", async (t) => {
  const { count } = await setUp(t);
  endWorkers(t, Infinity);
  await assert.rejects(count(2), (error) => {
    assert.equal(error.kind, "failed");
    assert.match(error.message, /A worker died twice while counting \(path=.*raster\.tif\)/);
    return true;
  });
});
