import { readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Arguments, Command } from "./cli/command.js";
import { main } from "./cli/main.js";
import { suggestion } from "./config/config.js";
import { eachYear } from "./config/each-year.js";
import { OUTPUT, ROOT } from "./config/option-sets.js";
import type { Context } from "./pipeline/context.js";
import { PipelineError } from "./pipeline/errors.js";

const COMMAND: Command = {
  name: "node dist/columns.js",
  summary:
    "Make years as columns: a file of crop codes a year, beside one archive of the fields for all years; show or verify such files.",
  positionals: "make YEAR..., or show|verify FILE",
  rootOptions: "use",
  options: [...ROOT, "fieldsRaw", "layer", "fieldsClean", "idColumn", "base", "threads", ...OUTPUT],
  own: {
    blocks: {
      type: "string",
      help: "show, verify: the blocks of a column's base (default: those with its fingerprint in the same folder)",
    },
    force: { type: "boolean", help: "make: make again, also what is valid" },
  },
  examples: [
    "node dist/columns.js make 2018-2020 --root work/demo",
    "node dist/columns.js verify work/demo/outputs/tiles/crops_us_2020.column",
  ],
};

async function run(args: Arguments, ctx: Context): Promise<unknown> {
  const { options, own } = args;
  const [action, ...rest] = args.positionals;
  if (action === "make") {
    const { makeColumn } = await import("./columns/make-columns.js");
    return eachYear(rest, options, ctx, (year, locked) => makeColumn(year, options, own.force === true, locked));
  }
  const [file] = rest;
  if ((action !== "show" && action !== "verify") || file === undefined || rest.length > 1) {
    throw new PipelineError(
      "usage",
      `Expected ${COMMAND.positionals}${suggestion(action ?? "", ["make", "show", "verify"])}`,
      { received: args.positionals.join(" ") },
    );
  }
  const result = await look(file, typeof own.blocks === "string" ? own.blocks : undefined, action === "verify");
  if (!options.json)
    process.stdout.write(
      `${Object.entries(result)
        .map(([key, value]) => `${key} ${value}`)
        .join("\n")}\n`,
    );
  return result;
}

/** What a file says of itself; in full, every block is read. */
async function look(
  path: string,
  given: string | undefined,
  full: boolean,
): Promise<Record<string, string | number | boolean>> {
  const { BlocksFile, ColumnFile, columnFileKind } = await import("./columns/stored-file.js");
  const kind = columnFileKind(path);
  if (kind === undefined) {
    throw new PipelineError("input", "Neither a file of crop codes nor of blocks", { path });
  }
  if (kind === "blocks") {
    const file = new BlocksFile(path);
    file.close();
    const { rows, count, minZoom, maxZoom } = file.index;
    if (full) (await import("./columns/base-step.js")).verifyBlocks(path);
    return {
      path,
      kind,
      fingerprint: file.prelude.fingerprint,
      fields: rows,
      blocks: count,
      minZoom,
      maxZoom,
      ...(full && { valid: true }),
    };
  }
  const file = new ColumnFile(path);
  file.close();
  const { year, codes, count } = file.index;
  const { fingerprint } = file.prelude;
  const shown = { path, kind, year, fingerprint, blocks: count, crops: codes.length };
  if (!full) return shown;
  const { verifyColumn } = await import("./columns/step.js");
  const { fields, withoutCrop } = verifyColumn(path, given ?? blocksBeside(path, fingerprint, BlocksFile));
  return { ...shown, fields, withoutCrop, valid: true };
}

function blocksBeside(
  path: string,
  fingerprint: string,
  File: typeof import("./columns/stored-file.js").BlocksFile,
): string {
  const folder = dirname(resolve(path));
  const others = readdirSync(folder).filter((name) => name.endsWith(".blocks"));
  for (const name of others) {
    const file = new File(join(folder, name));
    file.close();
    if (file.prelude.fingerprint === fingerprint) return join(folder, name);
  }
  throw new PipelineError("input", "No blocks of the column's base lie beside it; name them with --blocks", {
    path,
    expected: `fingerprint ${fingerprint.slice(0, 12)}`,
    received: others.join(" ") || "no .blocks",
  });
}

await main(COMMAND, run);
