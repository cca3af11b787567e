import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openIsolation } from "../../dist/batch/isolation.js";
import { command } from "../support/command.mjs";
import { tempFolder } from "../support/temp-folder.mjs";

/** A folder on the PATH with a program `name`. */
function withProgram(t, name, text = "#!/bin/sh\nexit 0\n") {
  const folder = tempFolder(t);
  writeFileSync(join(folder, name), text);
  chmodSync(join(folder, name), 0o755);
  const path = process.env.PATH;
  process.env.PATH = `${folder}:${path}`;
  t.after(() => {
    process.env.PATH = path;
  });
  return folder;
}

const FOLDERS = { out: "/b/scratch/r/ab.x/out", work: "/shm/ab.x/work", tmp: "/shm/ab.x/tmp" };

test("apptainer: the exact command; nothing of the host but output, work folders and explicit binds", (t) => {
  const bin = withProgram(t, "apptainer");
  const image = join(bin, "assess.sif");
  writeFileSync(image, "");
  const isolation = openIsolation({
    name: "apptainer",
    image,
    binds: ["/data:/data:ro"],
    hostEnv: { PATH: "/bin", HOME: "/home/u" },
  });
  assert.equal(isolation.out(FOLDERS), "/batch/out");
  const { argv, env } = isolation.command(["assess", "--field", "a b;c", "/batch/out"], FOLDERS, {
    HOME: FOLDERS.work,
    PATH: "/host/bin",
    TMPDIR: FOLDERS.tmp,
    BATCH_ID: "a,b",
    OMP_NUM_THREADS: "1",
  });
  assert.deepEqual(argv, [
    join(bin, "apptainer"),
    "exec",
    "--containall",
    "--cleanenv",
    "--home",
    "/shm/ab.x/work:/batch/work",
    "--workdir",
    "/shm/ab.x/tmp",
    "--bind",
    "/b/scratch/r/ab.x/out:/batch/out",
    "--bind",
    "/data:/data:ro",
    image,
    "/bin/sh",
    "-c",
    'cd "$1" && : > "$1/$2" && shift 2 && exec "$@"',
    "item",
    "/batch/work",
    ".started",
    "assess",
    "--field",
    "a b;c",
    "/batch/out",
  ]);
  assert.deepEqual(env, {
    PATH: "/bin",
    HOME: "/home/u",
    APPTAINERENV_BATCH_ID: "a,b",
    APPTAINERENV_OMP_NUM_THREADS: "1",
  });
  const colon = { ...FOLDERS, out: "/b:c/out" };
  assert.throws(() => isolation.command(["x"], colon, {}), { kind: "usage", message: /path=\/b:c\/out/ });
});

test("singularity stands in for apptainer, with its own variables", (t) => {
  const bin = withProgram(t, "singularity");
  writeFileSync(join(bin, "x.sif"), "");
  const path = process.env.PATH;
  process.env.PATH = bin;
  t.after(() => {
    process.env.PATH = path;
  });
  const isolation = openIsolation({ name: "apptainer", image: join(bin, "x.sif"), binds: [], hostEnv: {} });
  const { argv, env } = isolation.command(["x"], FOLDERS, { A: "1" });
  assert.equal(argv[0], join(bin, "singularity"));
  assert.deepEqual(env, { SINGULARITYENV_A: "1" });
});

test("what does not fit together is said before anything runs", (t) => {
  const bin = withProgram(t, "apptainer");
  const open = (rest) => () => openIsolation({ binds: [], hostEnv: {}, ...rest });
  assert.throws(open({ name: "apptainer" }), { kind: "usage", message: /needs --image/ });
  assert.throws(open({ name: "process", image: "x" }), { kind: "usage", message: /--image is for apptainer/ });
  assert.throws(open({ name: "process", binds: ["/x"] }), { kind: "usage", message: /--bind is for/ });
  assert.throws(open({ name: "apptainer", image: join(bin, "no.sif") }), {
    kind: "usage",
    message: /No such image.*no\.sif/,
  });
  process.env.PATH = "/nowhere";
  assert.throws(open({ name: "singularity", image: "x" }), { kind: "tool", message: /singularity or apptainer/ });
  assert.throws(open({ name: "bwrap" }), { kind: "tool", message: /bwrap/ });
});

function bwrapMissing() {
  try {
    execFileSync("bwrap", ["--unshare-user-try", "--unshare-pid", "--ro-bind", "/", "/", "true"], { stdio: "pipe" });
    return false;
  } catch (error) {
    return `bubblewrap cannot run here: ${error.message.split("\n")[0]}`;
  }
}

/** Runs `script` as the only item with bubblewrap; its output file `x`, its log, and what the command said. */
async function boxed(t, script, options = []) {
  // Not in /tmp, which every item has to itself.
  const folder = mkdtempSync("/var/tmp/fields-test-");
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "items.csv"), "id,text\na b,it's $(x)\n");
  writeFileSync(join(folder, "secret"), "secret");
  mkdirSync(join(folder, "work"));
  const out = join(folder, "batch");
  const result = await command(
    "batch",
    [
      "run",
      "--items",
      join(folder, "items.csv"),
      "--out",
      out,
      "--isolate",
      "bwrap",
      "--tmp",
      join(folder, "work"),
      "--json",
      "--retries",
      "0",
      "--workers",
      "1",
      ...options.map((text) => text.replace("FOLDER", folder)),
      "--",
      "sh",
      "-c",
      script.replaceAll("FOLDER", folder),
      "sh",
      "{id}",
      "{out}",
      "{text}",
    ],
    { env: { SECRET_TOKEN: "1", PYTHONPATH: "/x" } },
  );
  const place = execFileSync("find", [out, "-name", "x", "-o", "-name", "*.log"], { encoding: "utf8" })
    .trim()
    .split("\n");
  const read = (end) => place.filter((path) => path.endsWith(end)).map((path) => readFileSync(path, "utf8"))[0];
  return { ...result, x: read("/x"), log: read(".log"), folder };
}

test("bubblewrap, for real: own process ids, own /tmp and HOME, clean environment, the host read-only", {
  skip: bwrapMissing(),
}, async (t) => {
  const script = `
    env | sort > "$2/x"
    echo "args: $1|$3" >> "$2/x"
    echo "processes: $(ls -d /proc/[0-9]* | wc -l)" >> "$2/x"
    echo "tmp: $(ls -A /tmp)" >> "$2/x"
    echo note > "$HOME/note"; echo note > /tmp/note
    (echo bad > FOLDER/secret) 2> /dev/null && echo "wrote to the host" >> "$2/x"
    (echo bad > FOLDER/batch/batch.json) 2> /dev/null && echo "wrote to the batch" >> "$2/x"
    true`;
  const { code, x, folder, stderr } = await boxed(t, script);
  assert.equal(code, 0, stderr);
  const env = Object.fromEntries([...x.matchAll(/^(\w+)=(.*)$/gm)].map(([, key, value]) => [key, value]));
  assert.equal(env.SECRET_TOKEN ?? env.PYTHONPATH, undefined);
  assert.deepEqual([env.BATCH_ID, env.BATCH_ATTEMPT, env.TMPDIR, env.PWD === env.HOME], ["a b", "1", "/tmp", true]);
  assert.match(x, /^args: a b\|it's \$\(x\)$/m);
  assert.ok(Number(/^processes: (\d+)/m.exec(x)[1]) < 8, x);
  assert.match(x, /^tmp: $/m);
  assert.doesNotMatch(x, /wrote to/);
  assert.equal(readFileSync(join(folder, "secret"), "utf8"), "secret");
});

test("bubblewrap: explicit binds; an item's failure is its own, a container that does not start is not", {
  skip: bwrapMissing(),
}, async (t) => {
  const writing = 'echo good > FOLDER/work/y; cat FOLDER/work/y > "$2/x"';
  const unbound = await boxed(t, writing);
  assert.equal(unbound.code, 3, "read-only where it is not bound");
  assert.match(unbound.log, / item: exit code/);
  const bound = await boxed(t, writing, ["--bind", "FOLDER/work"]);
  assert.equal(bound.code, 0, bound.stderr);
  assert.equal(bound.x, "good\n");
  const nowhere = await boxed(t, "true", ["--bind", "/nowhere", "--backoff", "0"]);
  assert.equal(nowhere.code, 3);
  assert.match(nowhere.log, /attempt 20/);
  assert.match(nowhere.log, /bwrap: Can't find source path \/nowhere/);
  assert.doesNotMatch(nowhere.log, / item: /);
});
