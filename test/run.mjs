// Runs the tests: node test/run.mjs [--fast] [part of a file's path ...]
// It lists the files itself: `node --test` knows no globs on Node 20 and refuses a folder on 22.
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
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

// Servers of the tests are on loopback: a proxy of this machine's environment would stand between.
const { http_proxy: _a, https_proxy: _b, HTTP_PROXY: _c, HTTPS_PROXY: _d, ...env } = process.env;

const flags = [
  "--test",
  `--test-concurrency=${concurrency}`,
  `--test-timeout=${timeoutMs}`,
  "--test-reporter=spec",
  "--test-reporter-destination=stdout",
];
// In CI a test that is skipped is one that nobody runs, unless its reason is known.
if (process.env.CI)
  flags.push("--test-reporter=./test/support/skip-reporter.mjs", "--test-reporter-destination=stderr");
const places = watchPlaces();
const [program, ...args] = places.wrap([process.execPath, ...flags, ...files]);
const runner = spawn(program, args, {
  cwd: project,
  env: { ...env, CCACHE_DISABLE: "1", ...places.env },
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => runner.kill(signal));
runner.on("exit", (code) => {
  const changes = places.changes();
  places.close();
  for (const change of changes) console.error(`The tests touched what is not theirs: ${change}`);
  process.exit(code === 0 && changes.length > 0 ? 1 : (code ?? 1));
});
