// What slurm/run.sh hands into the container. No Slurm and no container needed: the program of that name tells
// what it was called with.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
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

const TORCH = fileURLToPath(new URL("../../slurm/torch.sh", import.meta.url));
const CODE = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** Network interfaces of a node as /sys shows them. */
function sysfs(t, interfaces) {
  const folder = tempFolder(t);
  for (const [name, { type, state }] of Object.entries(interfaces)) {
    mkdirSync(join(folder, "class/net", name), { recursive: true });
    writeFileSync(join(folder, "class/net", name, "type"), `${type}\n`);
    writeFileSync(join(folder, "class/net", name, "operstate"), `${state}\n`);
  }
  return folder;
}

function torch(t, env, container = "/x.sif") {
  const folder = tempFolder(t);
  for (const name of ["apptainer", "python3"]) {
    writeFileSync(join(folder, name), '#!/bin/sh\necho "$@"\nexec env\n');
    chmodSync(join(folder, name), 0o755);
  }
  const own = {
    PATH: `${folder}:/usr/bin:/bin`,
    FIELDS_CODE: CODE,
    CHECKPOINT_DIR: "/work/checkpoints",
    FIELDS_SYSFS: sysfs(t, { lo: { type: 772, state: "unknown" } }),
    ...(container && { FIELDS_CONTAINER: container }),
    ...env,
  };
  const run = spawnSync("bash", [TORCH, "train.py", "--epochs", "2"], { env: own, encoding: "utf8" });
  const [called, ...lines] = run.stdout.split("\n");
  return { code: run.status, stderr: run.stderr, called, lines };
}

test("what PyTorch, its libraries and trackers read goes into the container; what is named by FIELDS_ENV too", (t) => {
  const inside = {
    NCCL_DEBUG: "INFO",
    TORCH_DISTRIBUTED_DEBUG: "DETAIL",
    PYTORCH_CUDA_ALLOC_CONF: "expandable_segments:True",
    CUDA_VISIBLE_DEVICES: "0,3",
    OMP_PROC_BIND: "close",
    WANDB_API_KEY: "k,e y",
    MLFLOW_TRACKING_URI: "https://mlflow",
    SLURM_PROCID: "1",
    HTTPS_PROXY: "http://proxy:3128",
    no_proxy: "a.org",
    PROJ_DATA: "/opt/proj",
    PYTHONPATH: "/code",
    CHECKPOINT_DIR: "/work/checkpoints",
    MY_TOKEN: "secret",
    HF_HOME: "/work/hf",
    HF_HUB_OFFLINE: "1",
  };
  const { called, lines } = torch(t, {
    ...inside,
    FIELDS_ENV: "MY_TOKEN,HF_*",
    GDAL_DATA: "/host/gdal",
    MY_TOKENS: "1",
  });
  assert.match(called, /^exec --nv --cleanenv .* \/x\.sif python3 train\.py --epochs 2$/);
  for (const [name, value] of Object.entries(inside)) {
    for (const runtime of ["APPTAINER", "SINGULARITY"])
      assert.ok(lines.includes(`${runtime}ENV_${name}=${value}`), name);
  }
  assert.ok(!lines.some((line) => /ENV_(GDAL_DATA|MY_TOKENS|PATH)=/.test(line)));
  assert.doesNotMatch(called, /secret/);
  const wrong = torch(t, { FIELDS_ENV: "A,$(id)" });
  assert.deepEqual([wrong.code, wrong.called], [2, ""]);
  assert.match(wrong.stderr, /FIELDS_ENV: not a variable's name: \$\(id\)/);
});

test("threads are the cores that a GPU has, and NCCL goes over InfiniBand; both can be set", (t) => {
  const nets = { eth0: { type: 1, state: "up" }, ib0: { type: 32, state: "down" }, ib1: { type: 32, state: "up" } };
  const node = { SLURM_CPUS_PER_TASK: "64", GPUS: "4", FIELDS_SYSFS: sysfs(t, nets) };
  const chosen = torch(t, node).lines;
  for (const line of ["OMP_NUM_THREADS=16", "NCCL_SOCKET_IFNAME==ib1", "GLOO_SOCKET_IFNAME=ib1"]) {
    assert.ok(chosen.includes(`APPTAINERENV_${line}`), line);
  }
  const own = torch(t, { ...node, OMP_NUM_THREADS: "8", NCCL_SOCKET_IFNAME: "eth0" }, "");
  assert.equal(own.called, "train.py --epochs 2", "without a container, the node's own Python");
  for (const line of ["OMP_NUM_THREADS=8", "NCCL_SOCKET_IFNAME=eth0"]) assert.ok(own.lines.includes(line), line);
  const none = torch(t, { SLURM_CPUS_PER_TASK: "2", GPUS: "4" }).lines;
  assert.ok(none.includes("OMP_NUM_THREADS=1"));
  assert.ok(!none.some((line) => /^(NCCL|GLOO)_SOCKET/.test(line)));
});
