import { flagName, OPTIONS, type OptionName, type OptionSpec } from "../config/options.js";
import type { Command } from "./command.js";
import { asTyped } from "./program.js";

/** The options by what they are about; `rare` ones are left to `--help-all`. */
export const GROUPS = {
  Input: {
    usual: ["root", "region", "cdlSource", "fieldsRaw", "fieldsClean", "idColumn", "fieldsCrs", "keepCdl"],
    rare: ["layer", "geometryColumn", "areaColumn", "areaUnit", "include", "maxDirty", "retries", "proxy"],
  },
  Zonal: {
    usual: ["nodata", "allTouched", "coverage", "ties"],
    rare: ["smallFields", "weights", "batch"],
  },
  Tiles: {
    usual: ["minZoom", "maxZoom", "tiles", "tiler", "tippecanoe"],
    rare: ["base", "cropNames", "scratch", "stallSeconds"],
  },
  Publish: {
    usual: ["target", "endpoint", "publicUrl", "profile", "distribution"],
    rare: ["publishAs", "s3Region", "s3Checksums", "manifestFormat", "allowRace", "waitInvalidation"],
  },
  Cluster: {
    usual: ["cluster", "account"],
    rare: ["clusterProfile", "container"],
  },
  General: {
    usual: ["threads", "json", "quiet"],
    rare: ["verifyInputs"],
  },
} as const satisfies Readonly<
  Record<string, { readonly usual: readonly OptionName[]; readonly rare: readonly OptionName[] }>
>;

/** What a value is, by option; numbers and choices say it themselves. */
const VALUES: Readonly<Record<string, string>> = {
  root: "DIR",
  region: "NAME",
  cdlSource: "URL|DIR",
  proxy: "URL",
  fieldsRaw: "FILE",
  fieldsClean: "FILE",
  idColumn: "COLUMN",
  geometryColumn: "COLUMN",
  areaColumn: "COLUMN",
  layer: "NAME",
  include: "COLUMNS",
  fieldsCrs: "CRS",
  base: "FILE",
  tippecanoe: "PROGRAM",
  scratch: "DIR",
  stallSeconds: "SECONDS",
  target: "URL",
  endpoint: "URL",
  s3Region: "NAME",
  profile: "NAME",
  publicUrl: "URL",
  distribution: "ID",
  cluster: "NAME",
  clusterProfile: "FILE",
  account: "NAME",
  container: "FILE",
};

/** The same for options that commands have of their own. */
const OWN_VALUES: Readonly<Record<string, string>> = {
  archive: "FILE",
  at: "LON,LAT",
  "at-once": "N",
  backoff: "SECONDS",
  bbox: "W,S,E,N",
  bind: "SRC[:DEST]",
  block: "N",
  blocks: "FILE",
  changed: "keep|redo",
  columns: "LIST",
  command: "COMMAND",
  "cpus-per-task": "N",
  dependency: "LIST",
  env: "NAME[=TEXT]",
  fields: "FILE",
  force: "STAGE",
  format: "tif|img",
  "gpus-per-node": "N",
  grace: "SECONDS",
  history: "DIR",
  host: "ADDRESS",
  id: "ID",
  image: "FILE",
  index: "FILE",
  interval: "SECONDS",
  isolate: "HOW",
  "item-time": "SECONDS",
  items: "FILE",
  "job-type": "NAME",
  layer: "NAME",
  mem: "SIZE",
  "mem-per-cpu": "SIZE",
  nodes: "N",
  only: "STAGE",
  out: "PATH",
  "pixel-size": "METERS",
  port: "N",
  raster: "FILE",
  retries: "N",
  sample: "N",
  seed: "N",
  shapes: "drawn|csb",
  band: "N",
  stats: "LIST",
  stale: "SECONDS",
  state: "STATE",
  theme: "light|dark",
  time: "TIME",
  timeout: "SECONDS",
  title: "TEXT",
  tmp: "DIR",
  top: "N",
  until: "STAGE",
  valid: "CHECK",
  where: "EXPRESSION",
  width: "N",
  workers: "N",
  years: "YEARS",
  zoom: "N",
};

const INDENT = 2;
/** Flags longer than this stand on a line of their own. */
const FLAG_WIDTH = 26;
const MIN_WIDTH = 50;

type Row = readonly [flag: string, help: string];

/**
 * A command's help: examples, its own options, then the common ones by group.
 *
 * @param all    rare options too.
 * @param width  characters of a line.
 */
export function helpText(command: Command, all: boolean, width: number): string {
  const lines = Math.max(MIN_WIDTH, width);
  const own = Object.entries(command.own ?? {}).map(([flag, spec]): Row => {
    const value = spec.type === "boolean" ? "" : ` ${ownValue(command, flag)}`;
    return [`--${flag}${value}`, spec.help];
  });
  const groups = Object.entries(GROUPS).map(([title, { usual, rare }]) => {
    const names: readonly OptionName[] = all ? [...usual, ...rare] : usual;
    return [
      title,
      names.filter((name) => command.options.includes(name)).map((name) => optionRow(command, name)),
    ] as const;
  });
  const left = Object.values(GROUPS)
    .flatMap(({ rare }): readonly OptionName[] => rare)
    .filter((name) => command.options.includes(name)).length;
  const general: Row[] = [
    ["--config FILE", "JSON file of the same options, in camel case"],
    ["-h, --help", "this text"],
    ...(left > 0
      ? ([["--help-all", all ? "this text" : `and ${left} rarer option${left === 1 ? "" : "s"}`]] as const)
      : []),
    ["-V, --version", "versions of program, kernel and GDAL"],
  ];
  const sections = [["Options", own] as const, ...groups].map(
    ([title, rows]) => [title, title === "General" ? [...rows, ...general] : rows] as const,
  );
  return asTyped(
    [
      ...wrap(asTyped(command.summary), lines),
      "",
      ...usageLines(command, lines),
      "",
      ...command.examples.map((example) => `  ${example}`),
      ...sections.flatMap(([title, rows]) =>
        rows.length === 0 ? [] : ["", title, ...rows.flatMap((row) => optionLines(row, lines))],
      ),
      "",
      ...wrap(
        "Exit codes: 0 done, 1 failed, 2 usage, 3 some failed, 4 bad input, 5 too many dirty rows, 6 locked, " +
          "7 no space, 8 external tool, 9 download, 10 publish, 11 paused, 130/143 signal.",
        lines,
      ),
      "",
    ].join("\n"),
  );
}

function usageLines(command: Command, width: number): string[] {
  const title = "usage: ";
  const text = asTyped(`${command.name} ${command.positionals ? `${command.positionals} ` : ""}[options]`);
  return wrap(text, width - title.length).map((line, i) => (i === 0 ? title : " ".repeat(title.length)) + line);
}

function optionRow(command: Command, name: OptionName): Row {
  const spec = OPTIONS[name] as OptionSpec;
  const standard = command.defaults?.[name] ?? spec.default;
  const value = spec.type === "boolean" ? "" : ` ${valueKind(name, spec)}`;
  const short = name === "quiet" ? "-q, " : "";
  const suffix = standard === undefined || standard === false ? "" : ` [${standard}]`;
  return [`${short}--${flagName(name)}${value}`, spec.help + suffix];
}

function valueKind(name: OptionName, spec: OptionSpec): string {
  if (spec.choices) return spec.choices.join("|");
  if (spec.type === "numbers") return "N,N";
  return VALUES[name] ?? (spec.type === "string" ? "TEXT" : "N");
}

function ownValue({ name }: Command, flag: string): string {
  // Numbers of fields, where worlds are made.
  if (flag === "fields" && /sample|demo/.test(name)) return "N";
  if (flag === "format" && name.includes("export")) return "FORMAT";
  if (flag === "until" && name.includes("batch")) return "TIME";
  return OWN_VALUES[flag] ?? "TEXT";
}

function optionLines([flag, help]: Row, width: number): string[] {
  const column = INDENT + FLAG_WIDTH + 2;
  const [first = "", ...rest] = wrap(asTyped(help), width - column);
  const margin = " ".repeat(column);
  const head = `${" ".repeat(INDENT)}${flag}`;
  const lines = head.length > column - 2 ? [head, margin + first] : [head.padEnd(column) + first];
  return [...lines, ...rest.map((line) => margin + line)];
}

/** Words in lines of at most `width` characters; line breaks of the text stay. */
function wrap(text: string, width: number): string[] {
  return text.split("\n").flatMap((paragraph) => {
    const lines: string[] = [];
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    return [...lines, line];
  });
}
