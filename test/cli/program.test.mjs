// The program as people start it: its commands, help, completion, and every example of every help as printed.
import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { GROUPS } from "../../dist/cli/help.js";
import { COMMANDS } from "../../dist/cli/program.js";
import { OPTIONS } from "../../dist/config/options.js";
import { tempFolder } from "../support/temp-folder.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";

const PROGRAM = fileURLToPath(new URL("../../dist/fields-pipeline.js", import.meta.url));
const names = Object.keys(COMMANDS);

/** Run the program; resolves to {code, stdout, stderr}. */
function run(args, env = {}) {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { env: { ...process.env, ...env } }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

test("every option stands in one group of the help", () => {
  const grouped = Object.values(GROUPS).flatMap(({ usual, rare }) => usual.concat(rare));
  assert.deepEqual([...grouped].sort(), Object.keys(OPTIONS).sort());
});

test("help of every command: in 80 columns, values named by kind, exactly two examples", async () => {
  for (const name of names) {
    const { code, stdout } = await run([name, "--help-all"]);
    assert.equal(code, 0, name);
    assert.match(stdout, new RegExp(`^usage: fields-pipeline ${name}\\b`, "m"));
    for (const line of stdout.split("\n")) {
      const printed = line.startsWith("  fields-pipeline ");
      assert.ok(printed || line.length <= 80 || /\[https:/.test(line), `${name}: ${line}`);
    }
    assert.doesNotMatch(stdout, /--[a-z-]+ VALUE\b/);
    assert.doesNotMatch(stdout, /node dist/, name);
    assert.equal(examplesIn(stdout).length, 2, name);
  }
});

test("--help leaves the rarer options to --help-all", async () => {
  const [usual, all] = await Promise.all([run(["year", "--help"]), run(["year", "--help-all"])]);
  assert.match(usual.stdout, /^Zonal$/m);
  assert.doesNotMatch(usual.stdout, /--stall-seconds/);
  assert.match(usual.stdout, /--help-all +and \d+ rarer options/);
  assert.match(all.stdout, /--stall-seconds SECONDS/);
});

test("versions of program, kernel and GDAL, by the program and by each command", async () => {
  for (const args of [["--version"], ["-V"], ["zonal", "--version"], ["zonal", "-V"]]) {
    const { code, stdout } = await run(args);
    assert.equal(code, 0);
    assert.match(stdout, /^fields-pipeline \d+\.\d+\.\d+\nkernel sources [0-9a-f]{12}\nGDAL \d+\.\d+/, args.join(" "));
  }
});

test("no command, an unknown one, a near miss of a command, a choice, an option and a shell", async () => {
  const help = await run(["--help"]);
  assert.equal(help.code, 0);
  for (const name of names) assert.match(help.stdout, new RegExp(`^ {2}${name} `, "m"));
  assert.equal((await run([])).code, 2);
  for (const [args, message] of [
    [["yaer", "2020"], /Unknown command "yaer", did you mean year\?/],
    [["year", "2020", "--tiles", "rewite"], /one of rewrite, full, did you mean rewrite\?/],
    [["year", "2020", "--max-zom", "9"], /Unknown option --max-zom, did you mean max-zoom\?/],
    [["year", "2020", "--until", "tile"], /Unknown stage "tile"; use download, zonal, tiles or publish/],
    [["year"], /Missing YEAR, e\.g\. year 2020/],
    [["completion", "bsh"], /did you mean bash\?/],
    [["batch", "rnu"], /did you mean run\?/],
    [["cluster", "sbmit"], /did you mean submit\?/],
    [["archive", "shwo", "x"], /did you mean show\?/],
    [["columns", "mak", "2020"], /did you mean make\?/],
    [["export", "--years", "2020", "--format", "gpgk"], /did you mean gpkg\?/],
    [["sample", "--shapes", "cbs"], /did you mean csb\?/],
    [["preview", "--chart", "--out", "x.png", "--theme", "drak"], /did you mean dark\?/],
  ]) {
    const { code, stderr } = await run(args);
    assert.equal(code, 2, args.join(" "));
    assert.match(stderr, message);
  }
});

test("bash completes commands and a command's options", (t) => {
  const bin = mkdtempSync(join(tmpdir(), "fields-bin-"));
  t.after(() => rmSync(bin, { recursive: true }));
  symlinkSync(PROGRAM, join(bin, "fields-pipeline"));
  const complete = (...words) => {
    const script = `eval "$(fields-pipeline completion bash)"
      COMP_WORDS=(fields-pipeline ${words.map((word) => `'${word}'`).join(" ")}) COMP_CWORD=${words.length}
      _fields_pipeline; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
    return spawnSync("bash", ["-c", script], { env, encoding: "utf8" }).stdout.trim().split("\n");
  };
  assert.deepEqual(complete("pre"), ["prepare", "preview"]);
  assert.deepEqual(complete("year", "--max-z"), ["--max-zoom"]);
  assert.deepEqual(complete("completion", "f"), ["fish"]);
});

for (const shell of ["bash", "zsh", "fish"]) {
  test(`${shell} takes its completion script`, async (t) => {
    if (spawnSync(shell, ["--version"]).error) return t.skip(`${shell} is not installed`);
    const { stdout } = await run(["completion", shell]);
    const script = join(tempFolder(t), "completion");
    writeFileSync(script, stdout);
    const checked = spawnSync(shell, ["-n", script], { encoding: "utf8" });
    assert.equal(checked.status, 0, checked.stderr);
  });
}

function examplesIn(help) {
  return [...help.split("\nOptions")[0].matchAll(/^ {2}(fields-pipeline .*)$/gm)].map(([, line]) => line);
}

describe("every example runs as printed, on the demo's world", { skip: noTippecanoe }, () => {
  let folder;
  let env;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "fields-demo-"));
    symlinkSync(PROGRAM, join(folder, "fields-pipeline"));
    env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
    const { code, stderr } = await shell("fields-pipeline demo");
    assert.equal(code, 0, stderr);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function shell(line) {
    const child = spawn("bash", ["-c", `exec ${line}`], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
      // It runs until it is stopped.
      if (line.startsWith("fields-pipeline serve")) child.kill("SIGTERM");
    });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    const [code] = await once(child, "close");
    return { code, stdout, stderr };
  }

  /** Other than 0: what a machine that is no cluster's answers. */
  const ends = { doctor: [0, 1, 3], cluster: [0, 2], serve: [143] };

  // A world of other fields comes last.
  for (const name of names.filter((name) => name !== "demo").concat("demo")) {
    test(name, async () => {
      const { stdout: help } = await run([name, "--help"]);
      for (const line of examplesIn(help)) {
        const { code, stdout, stderr } = await shell(line);
        assert.ok((ends[name] ?? [0]).includes(code), `${line}: ${code}\n${stdout}\n${stderr}`);
        if (name === "field") assert.match(stdout, /20001000010/, "the point and the id are of a field");
      }
    });
  }
});
