// Reads files with wrong bytes, one after the other, and says of each: read, refused, or unnamed WHY.
// node mutants.mjs READER FILE FOLDER SEED FROM TO
import { readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { Archive } from "../../dist/archive/reader.js";
import { PipelineError } from "../../dist/pipeline/errors.js";
import { testContext } from "../support/context.mjs";
import { Random } from "../support/random.mjs";

const [, , reader, path, folder, seed, from, to] = process.argv;

const READERS = {
  async archive(file) {
    const archive = new Archive(file);
    try {
      archive.metadata();
      for (let i = 0; i < Math.min(archive.entries.count, 50); i++) archive.tile(i);
    } finally {
      archive.close();
    }
    const { verifyArchive } = await import("../../dist/archive/verify.js");
    await verifyArchive(file, {}, { sample: 20 });
  },
  async zones(file) {
    const { ZoneReader } = await import("../../dist/zones/zone-reader.js");
    const zones = await ZoneReader.open(file);
    await zones.close();
  },
  async zonal(file) {
    const { YearTable } = await import("../../dist/history/year-table.js");
    const table = await YearTable.open({ year: 2019, path: file });
    for (let rows = await table.fill(); rows > 0; rows = await table.fill()) table.take(rows);
  },
  async fields(file) {
    const { openFields } = await import("../../dist/fields/fields-file.js");
    const { FieldRows } = await import("../../dist/lookup/field-rows.js");
    const { log } = testContext();
    const fields = await openFields(file, {}, log);
    const rows = new FieldRows(fields);
    await rows.read([0, Math.floor(fields.rows / 2), fields.rows - 1]);
  },
  async raster(file) {
    const { openRaster } = await import("../../dist/raster/raster.js");
    openRaster(file);
  },
  async zip(file) {
    const { chooseRaster } = await import("../../dist/download/zip.js");
    await chooseRaster(file, 2019);
  },
};

const sound = readFileSync(path);
await READERS[reader](path);
console.log("start");
const target = join(folder, `${reader}-mutant${extname(path)}`);
for (let i = Number(from); i < Number(to); i++) {
  writeFileSync(target, mutant(new Random(Number(seed) * 1_000_003 + i)));
  try {
    await READERS[reader](target);
    console.log("read");
  } catch (error) {
    const named = error instanceof PipelineError && error.message.includes(target);
    console.log(named ? "refused" : `unnamed mutant ${i}: ${error.stack?.replaceAll("\n", " | ").slice(0, 600)}`);
  }
}
process.exit(0);

/** Bytes changed, cut off, repeated or zeroed, near the ends more often than elsewhere. */
function mutant(random) {
  let bytes = Buffer.from(sound);
  for (let n = random.integer(1, 5); n > 0; n--) {
    const near = random.chance(0.5) ? Math.min(bytes.length, 4096) : bytes.length;
    const at = random.chance(0.5) ? random.integer(0, near) : bytes.length - 1 - random.integer(0, near);
    if (at < 0 || at >= bytes.length) continue;
    const kind = random.next();
    if (kind < 0.5) bytes[at] = random.integer(0, 256);
    else if (kind < 0.65) bytes[at] ^= 1 << random.integer(0, 8);
    else if (kind < 0.75)
      bytes.fill(random.chance(0.5) ? 0 : 0xff, at, Math.min(bytes.length, at + random.integer(1, 16)));
    else if (kind < 0.85) bytes = bytes.subarray(0, at);
    else if (kind < 0.95)
      bytes = Buffer.concat([
        bytes.subarray(0, at),
        bytes.subarray(at, at + random.integer(1, 64)),
        bytes.subarray(at),
      ]);
    else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.integer(1, 64))]);
  }
  return bytes;
}
