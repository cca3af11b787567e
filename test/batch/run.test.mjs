import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BatchLayout, itemPathOf } from "../../dist/batch/layout.js";
import { physicalCores } from "../../dist/parallel/threads.js";
import { command } from "../support/command.mjs";
import { tempDirsIn, tempFolder } from "../support/temp-folder.mjs";

/** A batch of shell items in a folder of the test's own. */
function batch(t, script, ids = ["a", "b", "c"]) {
  const folder = tempFolder(t);
  const list = join(folder, "items.csv");
  const setItems = (rows) => writeFileSync(list, `id,n\n${rows.join("\n")}\n`);
  setItems(ids.map((id, i) => `${id},${i}`));
  const out = join(folder, "out");
  const layout = new BatchLayout(out);
  const run = (options = [], rest = {}) =>
    command(
      "batch",
      [
        "run",
        "--items",
        list,
        "--out",
        out,
        "--workers",
        "2",
        "--backoff",
        "0.05",
        "--tmp",
        folder,
        "--json",
        "--stale",
        "5",
        ...options,
        ...(options.includes("--command") ? [] : ["--", "sh", "-c", script, folder, "{id}", "{out}", "{n}"]),
      ],
      rest,
    );
  const status = async () => (await command("batch", ["status", "--out", out, "--json"])).json;
  const output = (id) => join(layout.output(itemPathOf(id)), "x");
  const log = (id) => readFileSync(layout.log(itemPathOf(id)), "utf8");
  return { folder, out, layout, run, status, output, log, setItems };
}

/** A zombie, which nobody has asked for its end, runs no more. */
function isRunning(pid) {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

const everything = (folder) => readdirSync(folder, { recursive: true });

test("every item runs once, isolated from the others; a rerun does nothing", async (t) => {
  const { folder, out, run, status, output, log } = batch(
    t,
    'echo "$1 $3" > "$2/x"; echo "said $1"; pwd >> "$0/folders"; ls -A >> "$0/found"; echo >> "$0/runs"; touch left',
  );
  const first = await run([], { env: { SECRET_TOKEN: "s" } });
  assert.equal(first.code, 0, first.stderr);
  assert.deepEqual([first.json.items, first.json.done, first.json.failed, first.json.runner.done], [3, 3, 0, 3]);
  assert.equal(readFileSync(output("b"), "utf8"), "b 1\n");
  const lines = log("b").trimEnd().split("\n");
  assert.match(lines[0], /^# \S+ attempt 1 \S+ \S+ \["sh","-c",/);
  assert.equal(lines[1], "said b");
  assert.match(lines[2], /^# \S+ valid \d+\.\d\d s$/);
  const folders = readFileSync(join(folder, "folders"), "utf8").trimEnd().split("\n");
  assert.equal(new Set(folders).size, 3);
  for (const path of folders) assert.ok(!existsSync(path), "a working folder is removed after its item");
  assert.equal(readFileSync(join(folder, "found"), "utf8"), "", "and is empty before it");
  const again = await run();
  assert.equal(again.code, 0, again.stderr);
  assert.equal(again.json.runner.done, 0);
  assert.equal(readFileSync(join(folder, "runs"), "utf8"), "\n\n\n");
  const { done, failed, left, running } = await status();
  assert.deepEqual([done, failed, left, running], [3, 0, 0, 0]);
  assert.deepEqual(everything(join(out, "runners")), []);
  assert.deepEqual(everything(join(out, "scratch")), []);
  assert.deepEqual(JSON.parse(readFileSync(join(out, "summary.json"))).done, 3);
});

test("an item's environment is clean: only what is asked for", async (t) => {
  const { run, output } = batch(t, 'env | sort > "$2/x"', ["a"]);
  const { code, stderr } = await run(["--env", "ASKED", "--env", "GIVEN=a=b,c"], {
    env: { SECRET_TOKEN: "s", ASKED: "yes", PYTHONPATH: "/x", SLURM_CPUS_PER_TASK: "4096" },
  });
  assert.equal(code, 0, stderr);
  const env = Object.fromEntries(
    readFileSync(output("a"), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/=(.*)/s)),
  );
  for (const name of ["SECRET_TOKEN", "PYTHONPATH", "SLURM_CPUS_PER_TASK"]) assert.equal(env[name], undefined);
  assert.deepEqual(
    [env.ASKED, env.GIVEN, env.BATCH_ID, env.BATCH_ATTEMPT, env.OMP_NUM_THREADS],
    ["yes", "a=b,c", "a", "1", String(Math.max(1, Math.floor(physicalCores() / 2)))],
  );
  assert.equal(env.HOME, env.PWD);
  assert.ok(env.TMPDIR.startsWith(env.HOME.replace(/work$/, "")));
  const unset = await run(["--env", "NOT_SET_ANYWHERE"]);
  assert.equal(unset.code, 2);
  assert.match(unset.stderr, /not set .*NOT_SET_ANYWHERE/);
});

test("three items that failed are failed, not done, in the status and in its share", async (t) => {
  const { out, run } = batch(t, "exit 9");
  const all = await run(["--retries", "0"]);
  assert.equal(all.code, 3, all.stderr);
  assert.match(all.stderr, /Some items failed.*items=3, done=0, failed=3/);
  assert.doesNotMatch(all.stderr, /done.*100 %|100 %.*done/);
  const { stdout } = await command("batch", ["status", "--out", out]);
  assert.match(stdout, /: 0 of 3 items done \(0 %\), 3 failed, 0 running, 0 left$/m);
});

test("an item that fails is retried, then counts as failed; the others go on; --retry-failed tries it anew", async (t) => {
  const { folder, run, status, log, output } = batch(
    t,
    'echo "$1" >> "$0/runs"; if [ "$1" = b ] && [ ! -e "$0/mended" ]; then echo "no crop for $1" >&2; exit 9; fi; echo > "$2/x"',
  );
  const first = await run(["--retries", "1"]);
  assert.equal(first.code, 3, first.stderr);
  assert.match(first.stderr, /Some items failed.*items=3, done=2, failed=1/);
  assert.match(first.stderr, /FAILED b: item: exit code 9: no crop for b \(.*b\.log\)/);
  assert.equal(readFileSync(join(folder, "runs"), "utf8").match(/b/g).length, 2);
  assert.match(log("b"), /attempt 1.*no crop for b.*item: exit code 9.*attempt 2.*no crop/s);
  const { failures, failed } = await status();
  assert.equal(failed, 1);
  assert.deepEqual([failures[0].id, failures[0].fault], ["b", "item"]);
  assert.equal((await run(["--retries", "1"])).code, 3, "a rerun alone leaves it failed");
  assert.equal(readFileSync(join(folder, "runs"), "utf8").match(/b/g).length, 2);
  writeFileSync(join(folder, "mended"), "");
  const mended = await run(["--retry-failed"]);
  assert.equal(mended.code, 0, mended.stderr);
  assert.ok(existsSync(output("b")));
  const { stdout } = await command("batch", ["list", "--out", join(folder, "out")]);
  const rows = stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t"));
  assert.deepEqual(rows[0].slice(0, 4), ["id", "state", "attempts", "seconds"]);
  assert.deepEqual(
    rows
      .slice(1)
      .map(([id, state, attempts]) => [id, state, attempts])
      .sort(),
    [
      ["a", "done", "1"],
      ["b", "done", "1"],
      ["c", "done", "1"],
    ],
  );
});

test("exit 0 is not enough: an output that fails its check is no output", async (t) => {
  const { run, output, status } = batch(t, 'if [ "$1" = a ]; then echo {{}} > "$2/x"; else echo "{{" > "$2/x"; fi', [
    "a",
    "b",
  ]);
  const { code } = await run(["--valid", "x=json", "--retries", "0"]);
  assert.equal(code, 3);
  assert.ok(existsSync(output("a")));
  assert.ok(!existsSync(output("b")), "nothing is put in its place");
  assert.match((await status()).failures[0].message, /output is not valid: x: not JSON/);
  const silent = batch(t, "true", ["a"]);
  assert.equal((await silent.run(["--retries", "0"])).code, 3, "nothing was written");
  assert.equal((await silent.run(["--retry-failed", "--valid", "none"])).code, 0);
});

test("a time limit ends the item with all it started, and is a fault of its own", async (t) => {
  const { folder, run, status } = batch(t, '(sleep 60; echo > "$0/late") & echo $! > "$0/pid"; sleep 60', ["a"]);
  const { code } = await run(["--timeout", "0.3", "--retries", "0"]);
  assert.equal(code, 3);
  assert.equal((await status()).failures[0].fault, "timeout");
  assert.ok(!isRunning(readFileSync(join(folder, "pid"), "utf8").trim()));
});

test("what was purged, changed or broken is made again; the rest is not", async (t) => {
  const { folder, out, run, status, output, setItems } = batch(t, 'echo "$1" >> "$0/runs"; echo "$3" > "$2/x"');
  const runs = () => {
    const text = readFileSync(join(folder, "runs"), "utf8");
    rmSync(join(folder, "runs"));
    return text.trimEnd().split("\n").sort().join("");
  };
  assert.equal((await run(["--valid", "x=size:2"])).code, 0);
  assert.equal(runs(), "abc");
  rmSync(join(output("b"), ".."), { recursive: true });
  const purged = await run(["--valid", "x=size:2"]);
  assert.match(purged.stderr, /output gone, made again=1/);
  assert.equal((await status()).done, 3);
  assert.equal(runs(), "b");
  setItems(["a,0", "b,1", "c,7", "d,3"]);
  const changed = await run(["--valid", "x=size:2"]);
  assert.match(changed.stderr, /fields or command changed=1/);
  assert.equal(runs(), "cd");
  assert.equal(readFileSync(output("c"), "utf8"), "7\n");
  setItems(["a,5", "b,1", "c,7", "d,3"]);
  assert.equal((await run(["--valid", "x=size:2", "--changed", "keep"])).json.runner.done, 0);
  setItems(["a,0", "b,1", "c,7", "d,3"]);
  // Records alone are gone: valid outputs are taken as they are, where a check was asked for.
  rmSync(join(out, "records"), { recursive: true });
  truncateSync(output("d"));
  const found = await run(["--valid", "x=size:2"]);
  assert.deepEqual([found.json.runner.found, found.json.runner.done], [3, 1]);
  assert.equal(runs(), "d");
  truncateSync(output("a"));
  const checked = await command("batch", ["check", "--out", out, "--json"]);
  assert.deepEqual(
    [checked.json.checked, checked.json.invalid],
    [4, [{ id: "a", problem: "x: 0 bytes, expected 2 or more" }]],
  );
  assert.equal((await run(["--valid", "x=size:2"])).code, 0);
  assert.equal(runs(), "a");
  const other = await run(["--command", "sh -c 'echo > $0/x' {out}"]);
  assert.equal(other.code, 2);
  assert.match(other.stderr, /another command's; pass --changed/);
  assert.equal((await run(["--changed", "redo", "--command", "sh -c 'echo new > $0/x' {out}"])).json.runner.done, 4);
  assert.equal(readFileSync(output("b"), "utf8"), "new\n");
});

test("--shell and fields: a value is data, never shell", async (t) => {
  const { run, folder, setItems, output } = batch(t, "", ["a"]);
  setItems(['"$(touch pwned); `id`",1', "\"'; exit 3; '\",2"]);
  const { code, stderr } = await run([
    "--shell",
    "--command",
    'printf "%s" {id} > {out}/x && echo "n={n}" >> "{out}/x"',
  ]);
  assert.equal(code, 0, stderr);
  assert.equal(readFileSync(output("$(touch pwned); `id`"), "utf8"), "$(touch pwned); `id`n=1\n");
  assert.ok(!everything(folder).some((path) => path.endsWith("pwned")));
});

test("SIGUSR1: items under way end and count, no more are started, exit code 11; the same command goes on", async (t) => {
  const ids = Array.from({ length: 30 }, (_, i) => `f${i}`);
  // Items wait until the test lets them go on.
  const script = 'echo "$1" >> "$0/runs"; while [ ! -e "$0/go" ]; do sleep 0.05; done; echo > "$2/x"';
  const { folder, run, status } = batch(t, script, ids);
  const running = () =>
    existsSync(join(folder, "runs")) ? readFileSync(join(folder, "runs"), "utf8").split("\n").length - 1 : 0;
  const { code, stderr } = await run([], {
    onStart: async (child) => {
      const noticed = new Promise((resolve) => {
        child.stderr.on("data", (text) => String(text).includes("SIGUSR1") && resolve());
      });
      while (running() < 2) await sleep(10);
      child.kill("SIGUSR1");
      await noticed;
      writeFileSync(join(folder, "go"), "");
    },
  });
  assert.equal(code, 11, stderr);
  assert.match(stderr, /Ended before all items were done/);
  const { done, running: claimed } = await status();
  assert.deepEqual([done, running()], [2, 2], "what had begun was finished, and nothing else was begun");
  assert.equal(claimed, 0);
  assert.equal((await run(["--workers", "16"])).code, 0);
  assert.equal(running(), 30, "each ran once");
});

test("SIGTERM: items are ended with all they started, claims given back, exit code 143, no attempt is lost", async (t) => {
  const { folder, out, run, status } = batch(t, '(sleep 300) & echo $! >> "$0/pids"; wait; echo > "$2/x"');
  const pids = () =>
    existsSync(join(folder, "pids")) ? readFileSync(join(folder, "pids"), "utf8").trim().split("\n") : [];
  const { code } = await run(["--retries", "0"], {
    onStart: async (child) => {
      while (pids().length < 2) await sleep(10);
      child.kill("SIGTERM");
    },
  });
  assert.equal(code, 143);
  for (const pid of pids()) assert.ok(!isRunning(pid));
  const { done, failed, running, left, retrying } = await status();
  assert.deepEqual([done, failed, running, left, retrying], [0, 0, 0, 3, 0]);
  assert.deepEqual(everything(join(out, "scratch")), []);
  assert.deepEqual(tempDirsIn(folder, ""), []);
});

test("--until: what cannot end in time is not started, what still runs then is ended and stays to be done", async (t) => {
  const ids = Array.from({ length: 8 }, (_, i) => `f${i}`);
  const short = batch(t, 'sleep 0.2; echo > "$2/x"', ids);
  const none = await short.run(["--until", "+30", "--grace", "1", "--item-time", "60"]);
  assert.equal(none.code, 11);
  assert.equal((await short.status()).done, 0);
  const long = batch(t, 'if [ "$1" = f3 ]; then sleep 300; fi; echo > "$2/x"', ids);
  const cut = await long.run(["--until", "+5", "--grace", "0", "--item-time", "0", "--retries", "0"]);
  assert.equal(cut.code, 11, cut.stderr);
  const { done, failed, left } = await long.status();
  // A busy machine may have started fewer of the others by then.
  assert.deepEqual([done + left, failed], [8, 0]);
  assert.ok(left >= 1 && !existsSync(long.output("f3")));
});

test("bad arguments are said before anything runs", async (t) => {
  const { folder, out, run } = batch(t, "true");
  const run2 = (args) => command("batch", args);
  for (const [args, message] of [
    [[], /Expected run\|status/],
    [["run", "--out", out, "--items", "x"], /--command TEXT, or the command after --.*neither/],
    [["run", "--items", "x", "--command", "true"], /--out is needed/],
    [["run", "--out", out, "--items", join(folder, "no"), "--command", "true"], /Cannot read the list.*no/],
    [["status", "--out", folder], /No batch in this folder/],
    [["status", "more", "--out", folder], /Unexpected arguments.*more/],
    [
      ["run", "--out", out, "--workers", "0", "--items", "x", "--command", "true"],
      /--workers must be a whole number from 1/,
    ],
    [
      ["run", "--out", out, "--isolate", "docker", "--items", "x", "--command", "true"],
      /process bwrap apptainer.*docker/,
    ],
    [["run", "--out", out, "--wrokers", "1"], /Unknown option --wrokers, did you mean workers/],
  ]) {
    const { code, stderr } = await run2(args);
    assert.ok(code === 2 || code === 4, `${code} ${stderr}`);
    assert.match(stderr, message);
  }
  const missing = await run(["--command", "no-such-program-here {id}"]);
  assert.equal(missing.code, 8);
  assert.match(missing.stderr, /program is not there.*no-such-program-here/);
  assert.ok(!existsSync(join(out, "batch.json")));
});
