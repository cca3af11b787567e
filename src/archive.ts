import { decodeTile } from "./archive/decode.js";
import { Archive } from "./archive/reader.js";
import { summarizeArchive, summaryText } from "./archive/summary.js";
import { MAX_ZOOM } from "./archive/tile-id.js";
import { verifyArchive } from "./archive/verify.js";
import type { Arguments, Command } from "./cli/arguments.js";
import { main } from "./cli/main.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";

const COMMAND: Command = {
  name: "node dist/archive.js",
  summary: "Look into a PMTiles archive, or check it.",
  positionals: "verify|show FILE, or decode FILE Z X Y",
  options: ["json", "quiet"],
  own: { sample: { type: "string", help: "verify: open only this many tiles, the same ones every time" } },
  examples: [
    "node dist/archive.js show work/outputs/tiles/fields_us_2020_full.pmtiles",
    "node dist/archive.js verify work/outputs/tiles/fields_us_2020_full.pmtiles --sample 1000",
    "node dist/archive.js decode work/outputs/tiles/fields_us_2020_full.pmtiles 14 3612 6201",
  ],
};

async function run(args: Arguments, ctx: Context): Promise<unknown> {
  const [action, file, ...rest] = args.positionals;
  const wanted = { verify: 0, show: 0, decode: 3 }[action ?? ""];
  if (wanted === undefined || file === undefined || rest.length !== wanted) {
    throw new PipelineError("usage", `Expected ${COMMAND.positionals}`, { received: args.positionals.join(" ") });
  }
  if (action === "verify") return verify(file, args, ctx);
  const archive = new Archive(file);
  try {
    if (action === "show") {
      const summary = summarizeArchive(archive);
      if (!args.options.json) process.stdout.write(`${summaryText(summary)}\n`);
      return summary;
    }
    const [z = 0, x = 0, y = 0] = rest.map((text) => wholeNumber(text, "Z, X and Y must be a tile's address"));
    if (z > MAX_ZOOM || x >= 2 ** z || y >= 2 ** z) {
      throw new PipelineError("usage", "No such tile in the world", { received: rest.join(" ") });
    }
    process.stdout.write(`${JSON.stringify(decodeTile(archive, { z, x, y }))}\n`);
    return undefined;
  } finally {
    archive.close();
  }
}

async function verify(file: string, args: Arguments, ctx: Context): Promise<unknown> {
  const text = args.own.sample;
  const sample = typeof text === "string" ? wholeNumber(text, "--sample must be a number of tiles") : undefined;
  const task = ctx.progress.start("tiles checked", sample);
  const census = await verifyArchive(
    file,
    {},
    { signal: ctx.signal, onProgress: (done) => task.update(done), ...(sample !== undefined && { sample }) },
  );
  task.end();
  const opened = `${census.entries.toLocaleString("en")} tiles opened`;
  if (!args.options.json)
    process.stdout.write(`${file}: valid (${opened}${sample === undefined ? "" : ", a sample"})\n`);
  return { path: file, valid: true, opened: census.entries };
}

function wholeNumber(text: string, sentence: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new PipelineError("usage", sentence, { received: text });
}

await main(COMMAND, run);
