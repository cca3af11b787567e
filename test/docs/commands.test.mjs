// Every command in README and docs/ runs as it is printed, in a world that has the files which it names.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import gdal from "gdal-async";
import yazl from "yazl";
import { Archive } from "../../dist/archive/reader.js";
import { tileOf } from "../../dist/archive/tile-id.js";
import { COMMANDS } from "../../dist/cli/program.js";
import { checkValue } from "../../dist/config/config.js";
import { flagName, OPTIONS } from "../../dist/config/options.js";
import { query } from "../support/duck.mjs";
import { writeMbtiles } from "../support/mbtiles-file.mjs";
import { writeVector } from "../support/vector-file.mjs";

const CHECKOUT = fileURLToPath(new URL("../../", import.meta.url));
const DOCUMENTS = [
  "README.md",
  ...readdirSync(join(CHECKOUT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

/** Commands that this machine cannot run, each with what it needs and where else it is tried. */
const ELSEWHERE = [
  [/^npm run demo\b/, "installs packages first; `node dist/demo.js`, which it then runs, makes this test's world"],
  [/^npm test\b/, "is these tests"],
  [/^npm run test:faults\b/, "takes hours: faults/faults.test.mjs runs each of its lanes briefly"],
  [/^npm install \.\./, "installs into another project: containers/package.test.mjs does that with a packed file"],
  [/^node dist\/cluster\.js submit\b/, "needs Slurm: slurm/*.test.mjs"],
  [/^sbatch\b|^srun\b/, "needs Slurm: slurm/*.test.mjs"],
  [/^containers\/build\.sh\b|^apptainer\b/, "needs Apptainer: containers/*.test.mjs"],
  [/^slurm\/(push|pull)\.sh\b/, "needs a cluster over ssh: slurm/transfer.test.mjs"],
  [/^cd \$PROJECT\b/, "installs packages on the cluster's login node"],
  [/^tail -f\b/, "the job's own log, by the number that Slurm gives it"],
  [/--target s3:/, "needs an account at AWS: publish/s3-target.test.mjs"],
  [/^FIELDS_CHECKPOINTS=/, "needs Slurm and a training program: slurm/train.test.mjs"],
  [/^node dist\/serve\.js --target https:/, "names the reader's own server: view/web-target.test.mjs"],
];

/** Options in sentences that are another program's. */
const OTHERS_OPTIONS = [
  [/--(containall|cleanenv)\b/, "Apptainer"],
  [/^--signal=USR1@|^--export$/, "sbatch"],
  [/^npm /, "npm"],
  [/^--go$|^push\.sh /, "the scripts of slurm/"],
  [/^--no-NAME$/, "stands for each switch"],
];

/** Commands that run until they are stopped, and what they have said by then. */
const ENDLESS = [
  [/^node dist\/serve\.js|--serve\b/, /^http:\/\/127\.0\.0\.1:8080\/$/m],
  [/--watch\b/, /2008/],
];
const endOf = (line) => ENDLESS.find(([pattern]) => pattern.test(line))?.[1];

/** What a machine that is no cluster's answers; a usage error is none of it. */
const ENDS = [
  [/^node dist\/doctor\.js/, [0, 1, 3]],
  [/^node dist\/batch\.js check/, [0, 3]],
];

/** Commands of a document, in order: of its `sh` blocks, continued lines joined, without comments. */
function commandsIn(document) {
  const text = readFileSync(join(CHECKOUT, document), "utf8");
  return blocksIn(text)
    .filter(({ kind }) => kind === "sh")
    .flatMap(({ body }) => body.replaceAll("\\\n", " ").split("\n"))
    .map((line) =>
      line
        .replace(/\s+#\s.*$/, "")
        .replaceAll(/\s+/g, " ")
        .trim(),
    )
    .filter((line) => line !== "" && !line.startsWith("#"));
}

const BLOCK = /^ *```(\w*)\n([\s\S]*?)^ *```$/gm;

function blocksIn(text) {
  return [...text.matchAll(BLOCK)].map(([, kind, body]) => ({ kind, body }));
}

/** What a document's sentences hold in backticks, in order. */
function phrasesIn(document) {
  const prose = readFileSync(join(CHECKOUT, document), "utf8").replaceAll(BLOCK, "");
  return [...prose.matchAll(/`([^`]+)`/g)].map(([, phrase]) => phrase.replaceAll(/\s+/g, " "));
}

/** Commands of a document's sentences: name and arguments, each of `a|b` alone. */
function mentionsIn(document) {
  return phrasesIn(document).flatMap((phrase) => {
    const [, script, command, rest = ""] =
      /^(?:(?:node )?(?:dist\/)?([a-z]+)\.js|fields-pipeline(?: ([a-z]+))?)(?= |$)(?: (.*))?$/.exec(phrase) ?? [];
    if (script === undefined && !/^fields-pipeline( |$)/.test(phrase)) return [];
    const name = script ?? command;
    if (name !== undefined && name !== "completion") assert.ok(name in COMMANDS, `${document}: ${phrase}`);
    const start = script === undefined ? `node dist/fields-pipeline.js ${command ?? ""}` : `node dist/${script}.js`;
    return alternativesOf(rest.replace(/\bFILE\b/, "own.pmtiles")).map((args) => ({ name, args, start, phrase }));
  });
}

function alternativesOf(args) {
  const [either] = /\S+\|\S+/.exec(args) ?? [];
  return either === undefined ? [args] : either.split("|").map((one) => args.replace(either, one));
}

test("every block that holds a command is marked `sh`", () => {
  for (const document of DOCUMENTS) {
    const text = readFileSync(join(CHECKOUT, document), "utf8");
    assert.doesNotMatch(text.replaceAll(BLOCK, ""), /^ {4,}(node|npm|npx|fields-pipeline) /m, `${document}: indented`);
    for (const { kind, body } of blocksIn(text)) {
      if (kind === "sh") continue;
      assert.notEqual(kind, "", `${document}: what is this block? ${body.slice(0, 80)}`);
      // A synopsis, whose arguments are words in capitals or in brackets.
      const commands = body
        .split("\n")
        .filter((line) => /^(node|npm|npx|fields-pipeline) /.test(line) && !/YEAR|\[/.test(line));
      assert.deepEqual(commands, [], `${document}: commands in a block marked ${kind}`);
    }
  }
});

describe("the commands of", () => {
  let folder;
  let world;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "fields-docs-"));
    world = join(folder, "world");
    mkdirSync(world);
    for (const name of ["dist", "node_modules", "package.json", "slurm"])
      symlinkSync(join(CHECKOUT, name), join(world, name));
    const made = [
      "node dist/demo.js",
      "node dist/sample.js --root work --fields 300 --years 2008-2024",
      "node dist/year.js 2008-2024 --cdl-source work/cdl-source --keep-cdl",
      // Remembers where rasters are, so that they need not come from USDA's server.
      "node dist/year.js 2020 --root work/csb --fields-raw work/data/fields_raw.parquet --cdl-source work/cdl-source --until download",
    ];
    for (const line of made) {
      const { code, stderr } = await run(world, line);
      assert.equal(code, 0, `${line}\n${stderr}`);
    }
    await addNamedFiles(world);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const document of DOCUMENTS) {
    const lines = commandsIn(document);
    if (lines.length === 0) continue;
    test(document, async () => {
      const own = join(folder, document.replaceAll("/", "-"));
      cpSync(world, own, { recursive: true, verbatimSymlinks: true });
      // A variable that one line sets is there for the next ones.
      let variables = "";
      for (const line of lines) {
        // Folders of the cluster are this world's.
        if (line.startsWith("ROOT=")) variables += "ROOT=work; ";
        else if (/^(export )?\w+=\S*( \w+=\S*)*$/.test(line)) variables += `${line}; `;
        else if (!ELSEWHERE.some(([pattern]) => pattern.test(line))) {
          const { code, stdout, stderr } = await run(own, line, variables);
          const told = `${document}: ${line}\nexit code ${code}\n${stdout.slice(0, 2000)}\n${stderr}`;
          assert.doesNotMatch(stderr, /Unknown (option|command|stage)|usage:/i, told);
          const end = endOf(line);
          if (end !== undefined) {
            // Whoever tries this on a machine where the port is taken sees that.
            const taken = /The port is taken/.test(stderr);
            assert.ok(taken || end.test(stdout), told);
            assert.ok(taken || code === 143, told);
          } else assert.ok((ENDS.find(([pattern]) => pattern.test(line))?.[1] ?? [0]).includes(code), told);
        }
      }
      for (const { name, args, start, phrase } of mentionsIn(document)) {
        // The name of a command, or of one of its parts, as its help has it; else a command, which runs.
        const named = /^[a-z]*$/.test(args) && name !== "completion";
        const { code, stdout, stderr } = await run(own, `${start} ${named ? "--help" : args}`);
        assert.equal(code, 0, `${document}: \`${phrase}\`\n${stdout.slice(0, 2000)}\n${stderr}`);
        if (named) assert.match(stdout, new RegExp(`usage:[\\s\\S]*\\b${args}\\b`), `${document}: ${phrase}`);
      }
      rmSync(own, { recursive: true });
    });
  }

  test("every option that a sentence names is one of the program's, and takes the value beside it", async () => {
    const known = new Set();
    for (const name of Object.keys(COMMANDS)) {
      const { code, stdout, stderr } = await run(world, `node dist/${name}.js --complete`);
      assert.equal(code, 0, stderr);
      for (const flag of stdout.trim().split("\n")) known.add(flag);
    }
    for (const document of DOCUMENTS) {
      for (const phrase of phrasesIn(document)) {
        if (OTHERS_OPTIONS.some(([pattern]) => pattern.test(phrase))) continue;
        for (const [, flag, value] of phrase.matchAll(/(?<![\w-])(--[a-z][a-z0-9-]*)(?:[ =]([a-z]+)(?![\w:]))?/g)) {
          assert.ok(known.has(flag), `${document}: no command has ${flag} (\`${phrase}\`)`);
          const [name, spec] = Object.entries(OPTIONS).find(([key]) => `--${flagName(key)}` === flag) ?? [];
          if (spec?.choices && value !== undefined) checkValue(name, value, `${document}: ${phrase}`);
        }
      }
    }
  });

  test("every reason to leave a command out is still needed", () => {
    const all = DOCUMENTS.flatMap(commandsIn);
    for (const [pattern, reason] of ELSEWHERE)
      assert.ok(
        all.some((line) => pattern.test(line)),
        `${pattern}: ${reason}`,
      );
  });
});

/** Run a line in a shell; one that goes on until it is stopped is, once it has said what it should. */
async function run(cwd, line, variables = "") {
  const child = spawn("bash", ["-c", `${variables}exec ${line}`], {
    cwd,
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
    if (endOf(line)?.test(stdout)) child.kill("SIGTERM");
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, "close");
  return { code, stdout, stderr };
}

function environment() {
  const { FIELDS_ACCOUNT: _, ...env } = process.env;
  // As the script has them in whose place the zonal step is put.
  return {
    ...env,
    fields_path: "work/data/fields_raw.parquet",
    raster_path: "work/data/cdl/us_2020/2020_30m_cdls.tif",
    out_path: "majority.parquet",
  };
}

/** The files of the reader's own that the documents name. */
async function addNamedFiles(world) {
  const source = join(world, "work", "data", "fields_raw.parquet");
  const rows = await query(`select field_id as id, hex(st_aswkb(geometry)) as wkb from '${source}'`);
  const polygons = rows.map(({ id, wkb }) => ({
    id: Number(id),
    wkt: gdal.Geometry.fromWKB(Buffer.from(wkb, "hex")).toWKT(),
  }));
  const layer = (field, type, value) => ({
    name: "fields",
    crs: null,
    srs: "OGC:CRS84",
    fields: { [field]: type },
    rows: polygons.map(({ id, wkt }) => ({ [field]: value(id), wkt })),
  });
  writeVector(join(world, "fields.gpkg"), "GPKG", [layer("field_id", gdal.OFTInteger64, (id) => id)]);
  cpSync(join(world, "work", "data", "cdl", "us_2020", "2020_30m_cdls.tif"), join(world, "cdl_2020.tif"));
  const csb = join(world, "csb.gpkg");
  writeVector(csb, "GPKG", [layer("CSBID", gdal.OFTString, (id) => String(id))]);
  const zip = new yazl.ZipFile();
  zip.addFile(csb, "NationalCSB_2017-2024_rev23.gpkg");
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(join(world, "NationalCSB_2017-2024_rev23.zip")));
  rmSync(csb);
  writeFileSync(
    join(world, "fields.csv"),
    `field_id,area_ha\n${polygons
      .slice(0, 5)
      .map(({ id }, i) => `${id},${i + 1}`)
      .join("\n")}\n`,
  );
  writeFileSync(
    join(world, "assess"),
    '#!/bin/bash\nwhile [ $# -gt 0 ]; do [ "$1" = --to ] && out=$2; shift; done\necho "{}" > "$out"\n',
  );
  chmodSync(join(world, "assess"), 0o755);
  const archive = new Archive(join(world, "work", "demo", "outputs", "tiles", "fields_us_2020_full.pmtiles"));
  const tiles = Array.from({ length: Math.min(20, archive.entries.count) }, (_, i) => ({
    ...tileOf(archive.entries.tileId(i)),
    data: Uint8Array.from(archive.storedTile(i)),
  }));
  archive.close();
  writeMbtiles(join(world, "fields.mbtiles"), tiles);
}
