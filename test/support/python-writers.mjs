// Libraries of Python that write parquet, in an environment of their own (containers/install-python-writers.sh).
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

// HOME is a stand-in while the tests run.
const CACHE =
  process.env.FIELDS_PIPELINE_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(userInfo().homedir, ".cache"), "fields-pipeline");
const PYTHON = join(CACHE, "python-writers/bin/python");
const SCRIPT = fileURLToPath(new URL("python-writers.py", import.meta.url));

/** Why they cannot be used here, as a test's skip message; false when they can. */
export function pythonWritersMissing() {
  return existsSync(PYTHON)
    ? false
    : "pyarrow, GeoPandas and polars are not installed (containers/install-python-writers.sh)";
}

/** Lines of python-writers.py. */
export function pythonFiles(task) {
  const { status, stdout, stderr } = spawnSync(PYTHON, [SCRIPT], { input: JSON.stringify(task), maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`python-writers.py ended with ${status}: ${stderr}`);
  const lines = stdout.toString().trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line));
}
