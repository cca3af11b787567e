// Lanes of the campaign that are about load and time: range requests, many years in one process, clocks that differ.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { command } from "../support/command.mjs";
import { buildDiskFaults } from "../support/disk-faults.mjs";
import { ELSEWHERE } from "../support/elsewhere.mjs";
import { Random } from "../support/random.mjs";
import { newRoot } from "../support/sample-world.mjs";
import { archiveName, publishFields, startTestViewer } from "../support/viewer.mjs";

/** Range requests over many connections while an archive is replaced: every answer is of one archive, its URL's. */
export async function ranges(ground, requests, connections = 64, seed = 5) {
  const folder = join(ground.world.folder, "ranges");
  publishFields(folder, [2019]);
  const archives = [2019, 2020].map((year) => join(ground.world.root, "outputs", "tiles", archiveName(year)));
  const contents = archives.map((path) => readFileSync(path));
  assert.notDeepEqual(contents[0], contents[1]);
  const closing = [];
  const viewer = await startTestViewer({ after: (end) => closing.push(end) }, `file:${folder}`);
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const random = new Random(seed);
  const done = { requests: 0, bytes: 0, gone: 0, replacements: 0 };
  const seen = new Map();
  const isOver = () => done.requests >= requests;
  const client = async () => {
    while (!isOver()) {
      const { years } = await viewer.years();
      const { url } = years[0].archive;
      // A page asks for some ranges by one URL.
      for (let i = 0; i < 20 && !isOver(); i++) {
        const start = random.integer(0, Math.min(...contents.map(({ length }) => length)));
        const end = start + random.integer(0, 4000);
        const { status, bytes } = await range(agent, viewer.port, url, start, end);
        if (status !== 206) {
          // Replaced meanwhile: the page asks for the years again.
          assert.ok([404, 410].includes(status), `${status}`);
          done.gone++;
          break;
        }
        done.requests++;
        done.bytes += bytes.length;
        const of = contents.map((content) => bytes.equals(content.subarray(start, end + 1)));
        assert.ok(of.some(Boolean), "bytes of neither archive");
        const which = (seen.get(url) ?? [true, true]).map((possible, k) => possible && of[k]);
        assert.ok(which.some(Boolean), `ranges of two archives under ${url}`);
        seen.set(url, which);
      }
    }
  };
  const replace = async () => {
    while (!isOver()) {
      copyFileSync(archives[done.replacements++ % 2], join(folder, "next"));
      renameSync(join(folder, "next"), join(folder, archiveName(2019)));
      await sleep(500);
    }
  };
  await Promise.all([replace(), ...Array.from({ length: connections }, client)]);
  agent.destroy();
  for (const end of closing) await end();
  rmSync(folder, { recursive: true });
  return { ...done, urls: seen.size };
}

function range(agent, port, path, start, end) {
  return new Promise((resolve, reject) => {
    const options = {
      agent,
      port,
      path: `/${path.replace(/^\.?\//, "")}`,
      headers: { range: `bytes=${start}-${end}` },
    };
    http
      .get(options, (answer) => {
        const chunks = [];
        answer.on("data", (chunk) => chunks.push(chunk));
        answer.on("end", () => resolve({ status: answer.statusCode, bytes: Buffer.concat(chunks) }));
        answer.on("error", reject);
      })
      .on("error", reject);
  });
}

/** Many years in one process: memory, threads, open files and files on disk do not grow with their number. */
export async function years(ground, count) {
  const { world } = ground;
  const root = newRoot(world, "many-years");
  const source = join(world.folder, "many-sources");
  mkdirSync(source);
  const last = 2024;
  const first = last - count + 1;
  for (let year = first; year <= last; year++) linkSync(world.files.cdl[2019], join(source, `${year}_30m_cdls.tif`));
  const program = fileURLToPath(new URL("../../dist/year.js", import.meta.url));
  const child = spawn(process.execPath, [program, `${first}-${last}`, "--root", root, "--cdl-source", source], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const looks = [];
  let text = "";
  child.stderr.on("data", (data) => {
    text += data;
    const ended = [...text.matchAll(/year \d+ is done/g)].length;
    while (looks.length < ended) looks.push(lookAt(child.pid, root));
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  assert.equal(code, 0, text.slice(-2000));
  assert.equal(looks.length, count);
  const middle = (from, to, key) =>
    looks
      .slice(from, to)
      .map((look) => look[key])
      .sort((a, b) => a - b)[(to - from) >> 1];
  const tenth = Math.ceil(count / 10);
  const early = (key) => middle(tenth, 3 * tenth, key);
  const late = (key) => middle(count - 2 * tenth, count, key);
  for (const key of ["threads", "handles", "scratch"])
    assert.ok(late(key) <= early(key), `${key}: ${early(key)} at first, ${late(key)} at last`);
  assert.ok(
    late("rssMiB") <= 1.25 * early("rssMiB") + 16,
    `RSS: ${early("rssMiB")} MiB at first, ${late("rssMiB")} at last`,
  );
  rmSync(root, { recursive: true });
  rmSync(source, { recursive: true });
  const keys = ["rssMiB", "threads", "handles", "scratch"];
  return {
    years: count,
    early: Object.fromEntries(keys.map((key) => [key, early(key)])),
    late: Object.fromEntries(keys.map((key) => [key, late(key)])),
  };
}

function lookAt(pid, root) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const number = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)[1]);
  return {
    rssMiB: Math.round(number("VmRSS") / 1024),
    threads: number("Threads"),
    handles: readdirSync(`/proc/${pid}/fd`).length,
    scratch: readdirSync(root, { recursive: true }).filter((path) => /\.scratch|\.partial|\.new$|\.dead\./.test(path))
      .length,
  };
}

/** The same year from two hosts whose clocks are a day apart: one makes it while the other is told so or waits. */
export async function clocks(ground, rounds) {
  const shim = buildDiskFaults(ground.world.folder);
  const done = { rounds: 0, made: 0, told: 0 };
  const program = fileURLToPath(new URL("../../dist/year.js", import.meta.url));
  let reference;
  for (let i = 0; i < rounds; i++) {
    const root = newRoot(ground.world, `clocks-${i}`);
    const args = [program, "2019", "--root", root, "--cdl-source", ground.world.source, "--quiet"];
    const start = (before, seconds) => {
      const argv = [...before, process.execPath, ...args];
      const env = { ...process.env, LD_PRELOAD: shim, FAULT_CLOCK: String(seconds) };
      const child = spawn(argv[0], argv.slice(1), { env, stdio: ["ignore", "ignore", "pipe"] });
      let stderr = "";
      child.stderr.on("data", (data) => (stderr += data));
      return new Promise((resolve) => child.on("close", (code) => resolve({ code, stderr })));
    };
    const runs = await Promise.all([start([], (i % 2 === 0 ? 1 : -1) * 86_400), start(ELSEWHERE, 0)]);
    for (const { code, stderr } of runs) {
      assert.ok(code === 0 || code === 6, `${code} ${stderr}`);
      done[code === 0 ? "made" : "told"]++;
    }
    assert.ok(runs.some(({ code }) => code === 0));
    const again = await command("year", args.slice(1));
    assert.equal(again.code, 0, again.stderr);
    const digest = ["outputs/zonal/zonal_us_2019.parquet", "outputs/tiles/fields_us_2019_full.pmtiles"]
      .map((path) =>
        createHash("sha256")
          .update(readFileSync(join(root, path)))
          .digest("hex"),
      )
      .join(" ");
    reference ??= digest;
    assert.equal(digest, reference);
    const left = readdirSync(root, { recursive: true }).filter((path) => /\.scratch|\.lock|\.partial/.test(path));
    assert.deepEqual(left, []);
    done.rounds++;
    rmSync(root, { recursive: true });
  }
  return done;
}
