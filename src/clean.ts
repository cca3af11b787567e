import type { Item } from "./clean/clean-root.js";
import type { Arguments } from "./cli/command.js";
import { main } from "./cli/main.js";
import { OUTPUT, ROOT } from "./config/option-sets.js";
import { PipelineError } from "./pipeline/errors.js";
import { requireRoot } from "./pipeline/folder.js";

const KINDS = ["zones", "lookup", "base", "fields", "scratch", "temporary"];

async function clean({ options, own, positionals }: Arguments) {
  if (positionals.length > 0)
    throw new PipelineError("usage", "Unexpected argument", { received: positionals.join(" ") });
  const keep = new Set(((own.keep as string | undefined) ?? "").split(",").filter(Boolean));
  for (const name of keep) {
    if (KINDS.includes(name) || name.includes(".") || name.includes("_")) continue;
    throw new PipelineError("usage", "Invalid --keep", {
      expected: `${KINDS.join(", ")}, or a file's name`,
      received: name,
    });
  }
  requireRoot(options.root);
  const dryRun = own["dry-run"] === true;
  const { cleanRoot } = await import("./clean/clean-root.js");
  const items = await cleanRoot(options, keep, dryRun);
  if (!options.json) process.stdout.write(textOf(items, dryRun));
  const bytes = items.reduce((sum, item) => sum + (item.removed ? item.bytes : 0), 0);
  return { dryRun, bytes, items };
}

function textOf(items: readonly Item[], dryRun: boolean): string {
  const verb = dryRun ? "would go" : "removed";
  const lines = items.map(
    ({ path, bytes, removed, reason }) => `${removed ? verb : "stays"}  ${size(bytes)}  ${path}: ${reason}\n`,
  );
  const gone = items.filter((item) => item.removed);
  const bytes = gone.reduce((sum, item) => sum + item.bytes, 0);
  return `${lines.join("")}${verb}: ${gone.length} of ${items.length}, ${size(bytes).trim()}\n`;
}

function size(bytes: number): string {
  return `${(bytes / 1e6).toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} MB`.padStart(
    12,
  );
}

await main(
  {
    name: "node dist/clean.js",
    summary:
      "Remove what can be made again and what ended runs left: zone indexes, lookups, bases and copies of fields that\n" +
      "neither a field set of the root, nor a year made from it, nor a running process needs; scratch, temporary files.",
    rootOptions: "use",
    options: [...ROOT, "fieldsRaw", "fieldsClean", "idColumn", "geometryColumn", "fieldsCrs", ...OUTPUT],
    own: {
      "dry-run": { type: "boolean", help: "remove nothing, say what would go and why" },
      keep: { type: "string", help: `what stays: ${KINDS.join(", ")}, or names of files, comma-separated` },
    },
    examples: ["node dist/clean.js --root work/demo --dry-run", "node dist/clean.js --root work/demo --keep base"],
  },
  clean,
);
