// Runs the tests: node test/run.mjs [--fast] [part of a file's path ...]
// It lists the files itself: `node --test` knows no globs on Node 20 and refuses a folder on 22.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { FAST_EXCLUDES } from "./support/tiers.mjs";
import { watchPlaces } from "./support/watched-places.mjs";

const project = fileURLToPath(new URL("..", import.meta.url));
const given = process.argv.slice(2);
const fast = given.includes("--fast");
const wanted = given.filter((part) => part !== "--fast");

const files = readdirSync(new URL(".", import.meta.url), { recursive: true })
  .filter((path) => path.endsWith(".test.mjs"))
  .map((path) => `test/${path}`)
  .filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
  .filter((path) => !fast || !isSlow(path))
  .sort();

/** Tests of whole years, clusters, browsers, servers and services are for the full run. */
function isSlow(path) {
  const text = readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
  return FAST_EXCLUDES.some((excluded) => path.startsWith(`test/${excluded}`) || text.includes(`/${excluded}`));
}

if (files.length === 0) {
  console.error(wanted.length > 0 ? `No test file's path contains: ${wanted.join(", ")}` : "No test files");
  process.exit(1);
}

// The kernel's oracle is TypeScript of its own.
const compiled = spawnSync(`${project}/node_modules/.bin/tsc`, ["-p", "test/oracle"], {
  cwd: project,
  stdio: "inherit",
});
if (compiled.status !== 0) process.exit(1);

// Tests start pools, tippecanoe and servers of their own: one file per core is enough, two where cores are few.
const concurrency = Math.min(8, Math.max(2, availableParallelism()));
// A test that hangs fails by name instead of holding the run.
const timeoutMs = 15 * 60_000;
/** More failed files than this are not the machine's doing. */
const FEW = 3;

// Servers of the tests are on loopback: a proxy of this machine's environment would stand between.
const { http_proxy: _a, https_proxy: _b, HTTP_PROXY: _c, HTTPS_PROXY: _d, ...env } = process.env;

// In CI a test that is skipped is one that nobody runs, unless its reason is known.
const reporter = process.env.CI
  ? ["--test-reporter=./test/support/ci-reporter.mjs", "--test-reporter-destination=stderr"]
  : [];
const places = watchPlaces();
const scratch = mkdtempSync(join(tmpdir(), "fields-failed-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

/** Runs files; resolves to the exit code and the files that failed. */
async function run(paths, atOnce) {
  const list = join(scratch, "failed");
  writeFileSync(list, "");
  const flags = [
    "--test",
    `--test-concurrency=${atOnce}`,
    `--test-timeout=${timeoutMs}`,
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    ...reporter,
  ];
  const [program, ...args] = places.wrap([process.execPath, ...flags, ...paths]);
  const runner = spawn(program, args, {
    cwd: project,
    env: { ...env, CCACHE_DISABLE: "1", FAILED_FILES: list, ...places.env },
    stdio: "inherit",
  });
  const pass = (signal) => runner.kill(signal);
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, pass);
  const [code] = await once(runner, "exit");
  for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, pass);
  return { code: code ?? 1, failed: readFileSync(list, "utf8").split("\n").filter(Boolean) };
}

let { code, failed } = await run(files, concurrency);
// On a busy machine one test in thousands waits too briefly. A file that passes alone is named, and does not hold CI up.
if (process.env.CI && failed.length > 0 && failed.length <= FEW) {
  const again = await run(failed, 1);
  for (const file of failed) console.error(`Failed beside other tests: ${relative(project, file)}`);
  console.error(again.code === 0 ? "It passed alone: an unsteady test, to be mended" : "It failed alone too");
  code = again.code;
}
// A test that failed need not have tidied up.
const changes = failed.length > 0 ? [] : places.changes();
places.close();
for (const change of changes) console.error(`The tests touched what is not theirs: ${change}`);
process.exit(code === 0 && changes.length > 0 ? 1 : code);
