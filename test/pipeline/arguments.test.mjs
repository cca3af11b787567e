import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readArguments } from "../../dist/cli/arguments.js";
import { parseYears } from "../../dist/config/years.js";
import { tempFolder } from "../support/temp-folder.mjs";

const COMMAND = {
  name: "node dist/year.js",
  summary: "Run a year.",
  positionals: "YEAR",
  options: ["root", "maxDirty", "nodata", "keepCdl", "minZoom", "maxZoom", "ties", "threads", "json"],
  own: {
    force: { type: "string", multiple: true, help: "make a step again" },
    "dry-run": { type: "boolean", help: "say what would run" },
  },
  examples: ["node dist/year.js 2020"],
};

const read = (...argv) => readArguments(COMMAND, argv);
const refused = (argv, message) =>
  assert.throws(() => read(...argv), { kind: "usage", exitCode: 2, message }, argv.join(" "));

test("options, own options and positionals, in any order and both spellings", () => {
  const { options, positionals, own } = read(
    "2020",
    "--max-dirty=0.02",
    "--force",
    "zonal",
    "--keep-cdl",
    "2021",
    "--force=tiles",
    "--nodata",
    "0,81, 255",
  );
  assert.deepEqual([options.maxDirty, options.keepCdl, options.nodata], [0.02, true, [0, 81, 255]]);
  assert.deepEqual(positionals, ["2020", "2021"]);
  assert.deepEqual({ ...own }, { force: ["zonal", "tiles"], "dry-run": undefined });
  assert.equal(options.region, "us", "options that the command does not take keep their defaults");
  assert.deepEqual(read("--nodata", "").options.nodata, []);
});

test("a configuration file stands between defaults and command line", (t) => {
  const path = join(tempFolder(t), "c.json");
  writeFileSync(path, JSON.stringify({ maxDirty: 0.5, minZoom: 6 }));
  const { options } = read("--config", path, "--min-zoom", "7");
  assert.deepEqual([options.maxDirty, options.minZoom], [0.5, 7]);
});

test("unknown flags, with the nearest known one", () => {
  refused(["--max-dirt", "1"], /^Unknown option --max-dirt, did you mean max-dirty\?$/);
  refused(["--dryrun"], /^Unknown option --dryrun, did you mean dry-run\?$/);
  refused(["--region", "ks"], /^Unknown option --region/);
  refused(["-x"], /-x/);
});

test("values that do not fit are shown as they were typed", () => {
  refused(
    ["--max-dirty", "many"],
    /^Option --max-dirty must be a number from 0 to 1 \(source=command line, received="many"\)$/,
  );
  refused(["--max-dirty", "2"], /received=2\)/);
  refused(["--min-zoom", "4.5"], /--min-zoom must be a whole number .*received=4\.5/);
  refused(["--min-zoom", ""], /--min-zoom must be a whole number .*received=""/);
  refused(["--nodata", "0,x"], /--nodata must be a list of numbers .*received="0,x"/);
  refused(["--nodata", "0,"], /--nodata must be a list of numbers .*received="0,"/);
  refused(["--ties", "first"], /one of lowest, highest .*received="first"/);
  refused(["--threads"], /--threads/);
  refused(["--json=yes"], /--json/);
  refused(["--min-zoom", "9", "--max-zoom", "8"], /--min-zoom is above --max-zoom/);
});

test("after -- everything is positional", () => {
  assert.deepEqual(read("--", "--max-dirt").positionals, ["--max-dirt"]);
});

for (const flag of ["--help", "-h"]) {
  test(`${flag} prints every option with its default, and nothing is run`, (t) => {
    let text = "";
    t.mock.method(process.stdout, "write", (chunk) => {
      text += chunk;
      return true;
    });
    const result = read(flag);
    t.mock.restoreAll();
    assert.equal(result, undefined);
    assert.match(text, /^Run a year\.\n\nusage: node dist\/year\.js YEAR \[options\]\n/);
    assert.match(text, /--min-zoom N +lowest zoom \[4\]/);
    assert.match(text, /--ties lowest\|highest [\s\S]*\[lowest\]/);
    assert.match(text, /--keep-cdl +keep/);
    assert.match(text, /--force STAGE +make a step again/);
    assert.match(text, /--dry-run +say what would run/);
    assert.match(text, /--config FILE/);
    assert.match(text, /Exit codes: 0 done/);
    assert.ok(!text.includes("--region"), "options that mean nothing here are not shown");
  });
}

test("years as people write them", () => {
  assert.deepEqual(parseYears("2020"), [2020]);
  assert.deepEqual(parseYears("2018,2020"), [2018, 2020]);
  assert.deepEqual(parseYears("2018-2021"), [2018, 2019, 2020, 2021]);
  assert.deepEqual(parseYears("2024, 2018-2019,2018"), [2024, 2018, 2019]);
  for (const text of ["", "20", "20200", "2020-", "2021-2020", "2020..2021", "all", "2020,,2021"]) {
    assert.throws(
      () => parseYears(text),
      { kind: "usage", message: /^Not a year: .*; use 2020, 2018,2020 or 2008-2024$/ },
      text,
    );
  }
});
