// Runs the fuzzers under AddressSanitizer and UndefinedBehaviorSanitizer: npm run fuzz [-- SECONDS [SEED]].
//
// Each is given the seeds that once found something (seeds.json), then new ones until its seconds are over. Sources
// and libraries are those of binding.gyp. A failure prints the seed; add it to seeds.json with the mend.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const NATIVE = fileURLToPath(new URL("..", import.meta.url));
/** Not in native/build, which node-gyp clears. */
const BUILD = join(NATIVE, "..", "dist-test", "fuzz");
const FLAGS = [
  "-std=c++17",
  "-O1",
  "-g",
  "-fsanitize=address,undefined,float-cast-overflow",
  "-fno-sanitize-recover=all",
  "-D_GLIBCXX_ASSERTIONS",
  "-ffp-contract=off",
];
/** Rounds of one start, about a second's. */
const ROUNDS = 100;
const FUZZERS = readdirSync(new URL(".", import.meta.url)).flatMap((name) => /^(\w+)\.cc$/.exec(name)?.[1] ?? []);

const [seconds = 60, firstSeed = Math.floor(Math.random() * 2 ** 31)] = process.argv.slice(2).map(Number);
const gyp = readFileSync(join(NATIVE, "binding.gyp"), "utf8");

await build();
const folder = mkdtempSync(join(tmpdir(), "fields-fuzz-"));
try {
  const files = await parquetFiles(folder);
  const kept = JSON.parse(readFileSync(new URL("seeds.json", import.meta.url), "utf8"));
  let total = 0;
  for (const name of FUZZERS) {
    const more = name === "parquet" ? ["field_id", "geometry", "--", ...files] : [];
    let executions = 0;
    for (const seed of kept[name] ?? []) executions += fuzz(name, seed, more);
    const end = performance.now() + seconds * 1000;
    let [starts, seed] = [0, firstSeed];
    for (; performance.now() < end; starts++, seed++) executions += fuzz(name, seed, more);
    total += executions;
    const seeds = `seeds ${firstSeed} to ${seed - 1}`;
    console.log(`${name}: ${executions} executions in ${starts} starts of ${ROUNDS} rounds, ${seeds}, nothing found`);
  }
  console.log(`${total} executions`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** One start; how many inputs its parsers were given. */
function fuzz(name, seed, more) {
  const args = [String(ROUNDS), String(seed), ...more];
  const { status, signal, stdout, stderr } = spawnSync(join(BUILD, name), args, {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status === 0) return Number(/^executions (\d+)$/m.exec(stdout)[1]);
  console.error(`${stdout}${stderr}\n${name}: ${signal ?? `exit code ${status}`} with seed ${seed}`);
  process.exit(1);
}

/** Every source but Node's glue, once for all fuzzers; what is newer than its object, or includes what is, anew. */
async function build() {
  const sources = [...gyp.matchAll(/"([\w/]+\.cc)"/g)]
    .map(([, path]) => path)
    .filter((path) => !path.startsWith("node/"));
  const libraries = [
    ...gyp.matchAll(/has-library\.sh (\S+) (\w+)\)' == '1'", \{ "defines": \["(\w+)"\], "libraries": \["(-l\w+)"\]/g),
  ]
    .filter(([, header, library]) => run("sh", ["has-library.sh", header, library]).stdout.trim() === "1")
    .map(([, , , define, link]) => ({ define, link }));
  const flags = [
    ...FLAGS,
    ...(process.arch === "x64" ? ["-mpopcnt"] : []),
    ...libraries.map(({ define }) => `-D${define}`),
    "-I",
    NATIVE,
  ];
  const newest = Math.max(...allSources().map((path) => statSync(path).mtimeMs));
  const objectOf = (source) => join(BUILD, `${source.replaceAll("/", "-")}.o`);
  const fuzzers = FUZZERS.map((name) => `fuzz/${name}.cc`);
  mkdirSync(BUILD, { recursive: true });
  const todo = [...sources, ...fuzzers].filter(
    (source) => !existsSync(objectOf(source)) || statSync(objectOf(source)).mtimeMs < newest,
  );
  if (todo.length > 0) console.log(`compiling ${todo.length} sources`);
  const lane = async () => {
    for (let source = todo.pop(); source !== undefined; source = todo.pop())
      await compile([...flags, "-c", source, "-o", objectOf(source)]);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  const links = [...libraries.map(({ link }) => link), "-lz", "-lpthread"];
  for (const name of FUZZERS) {
    await compile([...flags, objectOf(`fuzz/${name}.cc`), ...sources.map(objectOf), ...links, "-o", join(BUILD, name)]);
  }
}

function allSources() {
  return readdirSync(NATIVE, { recursive: true })
    .filter((path) => /\.(cc|h|gyp)$/.test(path) && !path.startsWith("build"))
    .map((path) => join(NATIVE, path));
}

function compile(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.env.CXX ?? "g++", args, { cwd: NATIVE, stdio: ["ignore", "inherit", "inherit"] });
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`the compiler ended with ${code}`))));
  });
}

function run(program, args) {
  return spawnSync(program, args, { cwd: NATIVE, encoding: "utf8" });
}

/** Small files of every compression and page version that DuckDB writes, to be damaged. */
async function parquetFiles(folder) {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const select =
    "select n as field_id, ('\\x01\\x03' || repeat('x', (n % 60)::int))::blob as geometry from range(1500) t(n)";
  const files = [];
  try {
    for (const options of ["snappy", "zstd", "gzip", "uncompressed", "lz4_raw"]) {
      for (const version of ["v1", "v2"]) {
        const path = join(folder, `${options}-${version}.parquet`);
        await connection.run(
          `copy (${select}) to '${path}' (format parquet, compression ${options}, parquet_version ${version}, row_group_size 2048)`,
        );
        files.push(path);
      }
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
  return files;
}
