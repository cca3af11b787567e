import { existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { endChild, freePorts, spawnTied, waitForHttp } from "./ports.mjs";

/**
 * moto_server for tests: S3 with conditional writes, and CloudFront. It keeps all
 * in memory and checks neither signatures nor checksums (Swift does).
 */
// HOME is a stand-in while the tests run.
const CACHE =
  process.env.FIELDS_PIPELINE_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(userInfo().homedir, ".cache"), "fields-pipeline");
const LIBRARY = join(CACHE, "moto/usr/lib/python3/dist-packages");

/** Why moto cannot run here, as a test's skip message; false when it can. */
export function motoMissing() {
  return existsSync(join(LIBRARY, "moto/server.py")) ? false : "moto is not installed (containers/install-moto.sh)";
}

export async function startMoto() {
  const folder = mkdtempSync(join(tmpdir(), "moto-"));
  const [port] = await freePorts(1);
  const log = openSync(join(folder, "moto.log"), "w");
  const child = spawnTied("/usr/bin/python3", ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)], {
    stdio: ["ignore", log, log],
    env: { PATH: "/usr/bin:/bin", HOME: folder, PYTHONPATH: LIBRARY },
  });
  const stop = async () => {
    await endChild(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await waitForHttp(port, child, "moto_server");
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessKeyId: "test", secretAccessKey: "test-secret" },
    stop,
  };
}
