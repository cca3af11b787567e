// What slurm/run.sh hands into the container. No Slurm and no container needed: the program of that name tells
// what it was called with.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { tempFolder } from "../support/temp-folder.mjs";

const RUN = fileURLToPath(new URL("../../slurm/run.sh", import.meta.url));

test("web proxy, credentials and Slurm's own go in; modules of the host do not", (t) => {
  const folder = tempFolder(t);
  writeFileSync(join(folder, "apptainer"), '#!/bin/sh\necho "$@"\nexec env\n');
  chmodSync(join(folder, "apptainer"), 0o755);
  const inside = {
    HTTPS_PROXY: "http://me:p,w@proxy:3128",
    https_proxy: "http://proxy:3128",
    HTTP_PROXY: "http://proxy:3128",
    NO_PROXY: "a.org, .b.org",
    no_proxy: "c.org",
    NODE_EXTRA_CA_CERTS: "/etc/ca.pem",
    AWS_PROFILE: "tiles",
    SLURM_CPUS_PER_TASK: "4",
  };
  const env = { PATH: `${folder}:/usr/bin:/bin`, FIELDS_CONTAINER: "/x.sif", PROJ_DATA: "/host/proj", ...inside };
  const said = execFileSync("bash", [RUN, "year", "2020"], { env, encoding: "utf8" });
  const [called, ...lines] = said.split("\n");
  assert.match(called, /^exec --cleanenv .* \/x\.sif node \/opt\/fields-pipeline\/dist\/year\.js 2020$/);
  for (const [name, value] of Object.entries(inside)) {
    assert.ok(lines.includes(`APPTAINERENV_${name}=${value}`), name);
    assert.ok(lines.includes(`SINGULARITYENV_${name}=${value}`), name);
  }
  assert.doesNotMatch(said, /ENV_PROJ_DATA/);
});
