import type { Archive } from "./archive/reader.js";
import { MAX_ZOOM } from "./archive/tile-id.js";
import type { Arguments, Command } from "./cli/command.js";
import { main } from "./cli/main.js";
import { suggestion } from "./config/config.js";
import { availableThreads } from "./parallel/threads.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";
import { checkOutput, unknownOrigin } from "./pipeline/output-origin.js";

const COMMAND: Command = {
  name: "node dist/archive.js",
  summary: "Look into a PMTiles archive, check it, or make one of MBTiles.",
  positionals: "verify|show FILE, decode FILE Z X Y, or convert FILE.mbtiles [OUT.pmtiles]",
  options: ["threads", "publicUrl", "json", "quiet"],
  own: {
    force: { type: "boolean", help: "convert: replace an archive at OUT.pmtiles" },
    sample: { type: "string", help: "verify: open only this many tiles, the same ones every time" },
    "header-json": { type: "boolean", help: "show: the header alone, as JSON" },
    metadata: { type: "boolean", help: "show: the metadata alone, as JSON" },
    tilejson: { type: "boolean", help: "show: TileJSON for a server of the archive's tiles under --public-url" },
  },
  examples: [
    "node dist/archive.js show work/demo/outputs/tiles/fields_us_2020_full.pmtiles",
    "node dist/archive.js verify work/demo/outputs/tiles/fields_us_2020_full.pmtiles --sample 100",
  ],
};

/** Positional arguments of each action after the file: fewest and most. */
const ACTIONS: Readonly<Record<string, readonly [number, number]>> = {
  verify: [0, 0],
  show: [0, 0],
  decode: [3, 3],
  convert: [0, 1],
};

async function run(args: Arguments, ctx: Context): Promise<unknown> {
  const [action = "", file, ...rest] = args.positionals;
  const count = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (count === undefined || file === undefined || rest.length < count[0] || rest.length > count[1]) {
    throw new PipelineError(
      "usage",
      `Expected ${COMMAND.positionals}${suggestion(args.positionals[0] ?? "", ["verify", "show", "decode", "convert"])}`,
      { received: args.positionals.join(" ") },
    );
  }
  if (action === "verify") return verify(file, args, ctx);
  if (action === "convert") return convert(file, rest[0], args, ctx);
  const { Archive } = await import("./archive/reader.js");
  const archive = new Archive(file);
  try {
    return action === "show" ? await show(archive, args) : await decode(archive, rest);
  } finally {
    archive.close();
  }
}

async function show(archive: Archive, { own, options }: Arguments): Promise<unknown> {
  const { headerJson, summarizeArchive, summaryText, tileJson } = await import("./archive/summary.js");
  const parts = {
    "header-json": () => headerJson(archive.header),
    metadata: () => archive.metadata(),
    tilejson: () => tileJson(archive, options.publicUrl),
  };
  const wanted = Object.entries(parts).filter(([flag]) => own[flag] === true);
  if (wanted.length > 1) {
    throw new PipelineError("usage", "Expected one of --header-json, --metadata and --tilejson");
  }
  const [part] = wanted;
  if (part !== undefined) {
    process.stdout.write(`${JSON.stringify(part[1](), undefined, options.json ? 0 : 2)}\n`);
    return undefined;
  }
  const summary = summarizeArchive(archive);
  if (!options.json) process.stdout.write(`${summaryText(summary)}\n`);
  return summary;
}

async function decode(archive: Archive, address: readonly string[]): Promise<undefined> {
  const [z = 0, x = 0, y = 0] = address.map((text) => wholeNumber(text, "Z, X and Y must be a tile's address"));
  if (z > MAX_ZOOM || x >= 2 ** z || y >= 2 ** z) {
    throw new PipelineError("usage", "No such tile in the world", { received: address.join(" ") });
  }
  const { decodeTile } = await import("./archive/decode.js");
  process.stdout.write(`${JSON.stringify(decodeTile(archive, { z, x, y }))}\n`);
}

async function verify(file: string, args: Arguments, ctx: Context): Promise<unknown> {
  const text = args.own.sample;
  const sample = typeof text === "string" ? wholeNumber(text, "--sample must be a number of tiles") : undefined;
  const { verifyArchive } = await import("./archive/verify.js");
  const task = ctx.progress.start("tiles checked", sample);
  const audit = await verifyArchive(
    file,
    {},
    { signal: ctx.signal, onProgress: (done) => task.update(done), ...(sample !== undefined && { sample }) },
  );
  task.end();
  const opened = `${audit.entries.toLocaleString("en")} tiles opened`;
  if (!args.options.json)
    process.stdout.write(`${file}: valid (${opened}${sample === undefined ? "" : ", a sample"})\n`);
  return { path: file, valid: true, opened: audit.entries };
}

async function convert(source: string, out: string | undefined, args: Arguments, ctx: Context): Promise<unknown> {
  const target = out ?? `${source.replace(/\.mbtiles$/, "")}.pmtiles`;
  // MBTiles and metadata of another program's making do not tell whose the archive is.
  await checkOutput(target, { inputs: [source], originOf: unknownOrigin, force: args.own.force === true });
  const { convertMbtiles } = await import("./archive/convert.js");
  const { openPool } = await import("./parallel/pool.js");
  const pool = openPool(availableThreads(args.options.threads));
  try {
    const { header, sourceTiles, emptyTiles } = await convertMbtiles(source, target, pool, ctx);
    const counts = { tiles: sourceTiles, emptyTiles, contents: header.tileContents };
    if (!args.options.json) process.stdout.write(`${target}: ${sourceTiles.toLocaleString("en")} tiles\n`);
    return { path: target, ...counts };
  } finally {
    await pool.close();
  }
}

function wholeNumber(text: string, sentence: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new PipelineError("usage", sentence, { received: text });
}

await main(COMMAND, run);
