/**
 * Multipart upload against the least that has to be done:
 * node dist-bench/upload.js [MIB] [ROUNDS].
 *
 * Both hash the whole file (it becomes the object's metadata), then read it again in
 * parts of 16 MiB, hash each (S3 signs it) and send four at once over loopback to the
 * same server, which keeps nothing. The peer does so by bare `node:http`.
 */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProxyRules } from "../dist/network/proxy.js";
import type { Context } from "../dist/pipeline/context.js";
import { SILENT } from "../dist/pipeline/progress.js";
import { fileChecksum } from "../dist/publish/checksum.js";
import { S3Target } from "../dist/publish/target-s3.js";
import { ratios, spread } from "./statistics.js";

const MIB = 2 ** 20;
const PART = 16 * MIB;
const LANES = 4;

const quiet = { debug() {}, info() {}, warn() {}, error() {}, with: () => quiet };
const ctx: Context = { signal: new AbortController().signal, log: quiet, progress: SILENT };

const [mebibytes, rounds] = [Number(process.argv[2] ?? 1024), Number(process.argv[3] ?? 5)];
const folder = mkdtempSync(join(tmpdir(), "upload-bench-"));
const path = join(folder, "archive");
writeNoise(path, mebibytes);
const sink = spawn(process.execPath, [join(import.meta.dirname, "s3-sink.js")], {
  stdio: ["ignore", "pipe", "inherit"],
});
try {
  const [line] = (await once(sink.stdout, "data")) as [Buffer];
  const port = Number(line);
  const [ours, bare]: [number[], number[]] = [[], []];
  await upload(port);
  await sendBare(port);
  for (let round = 0; round < rounds; round++) {
    bare.push(await timed(() => sendBare(port)));
    ours.push(await timed(() => upload(port)));
  }
  const rate = (seconds: readonly number[]) => Math.round(mebibytes / spread(seconds).median);
  const share = ratios(bare, ours);
  process.stdout.write(
    `${mebibytes} MiB, ${rounds} rounds: upload ${rate(ours)} MiB/s, hash and send alone ${rate(bare)} MiB/s; ` +
      `share of it ${percent(share.median)} (${percent(share.min)} to ${percent(share.max)})\n`,
  );
} finally {
  sink.kill();
  rmSync(folder, { recursive: true });
}

async function upload(port: number): Promise<void> {
  process.env.AWS_ACCESS_KEY_ID ??= "bench";
  process.env.AWS_SECRET_ACCESS_KEY ??= "bench";
  const target = new S3Target({
    bucket: "bench",
    prefix: "",
    endpoint: `http://127.0.0.1:${port}`,
    region: "us-east-1",
    profile: undefined,
    proxies: ProxyRules.none,
    checksums: true,
    retries: 0,
    tuning: { partBytes: PART, parallelParts: LANES },
  });
  const source = { path, bytes: statSync(path).size, checksum: await fileChecksum(path, ctx), fingerprint: "" };
  const headers = { contentType: "application/vnd.pmtiles", cacheControl: "no-cache" };
  await target.putFile("archive", source, { ...headers, resumePath: join(folder, "resume.json") }, ctx);
}

async function sendBare(port: number): Promise<void> {
  await fileChecksum(path, ctx);
  const agent = new Agent({ keepAlive: true });
  const file = await open(path);
  const { size } = await file.stat();
  let next = 0;
  const lane = async () => {
    const buffer = Buffer.allocUnsafeSlow(PART);
    for (let index = next++; index * PART < size; index = next++) {
      const { bytesRead } = await file.read(buffer, 0, PART, index * PART);
      const body = buffer.subarray(0, bytesRead);
      const hash = createHash("sha256").update(body).digest("hex");
      const headers = { "content-length": bytesRead, "x-amz-content-sha256": hash };
      await new Promise((resolve, reject) => {
        const put = request({ port, host: "127.0.0.1", method: "PUT", path: "/bench/archive", agent, headers });
        put.on("error", reject).on("response", (answer) => answer.resume().on("end", resolve));
        put.end(body);
      });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  agent.destroy();
  await file.close();
}

async function timed(body: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await body();
  return (performance.now() - began) / 1000;
}

function writeNoise(file: string, mib: number): void {
  const descriptor = openSync(file, "w");
  for (let done = 0; done < mib; done++) writeSync(descriptor, randomBytes(MIB));
  closeSync(descriptor);
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
