import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { endChild, freePorts, spawnTied, waitForHttp } from "./ports.mjs";

/**
 * A real S3 server for tests: OpenStack Swift with its S3 API, four daemons on
 * loopback over one folder, one replica. It checks signatures, keeps the parts of
 * unfinished uploads over any crash of the client, and refuses conditional writes.
 */
const DAEMONS = ["account", "container", "object", "proxy"];

/** Why Swift cannot run here, as a test's skip message; false when it can. */
export function swiftMissing() {
  const found = DAEMONS.every((name) => existsSync(`/usr/bin/swift-${name}-server`));
  return found ? false : "OpenStack Swift is not installed (containers/install-swift.sh)";
}

/** Start a server of its own folder and ports; `stop` ends it and removes the folder. */
export async function startSwift() {
  const folder = mkdtempSync(join(tmpdir(), "swift-"));
  const etc = join(folder, "etc");
  for (const part of ["etc", "srv/d1", "cache"]) mkdirSync(join(folder, part), { recursive: true });
  const ports = Object.fromEntries((await freePorts(DAEMONS.length)).map((port, i) => [DAEMONS[i], port]));
  writeFileSync(join(etc, "swift.conf"), SWIFT_CONF);
  for (const name of DAEMONS) {
    writeFileSync(join(etc, `${name}-server.conf`), daemonConf(name, ports[name], folder));
  }
  makeRings(etc, ports);
  const children = DAEMONS.map((name) => {
    const log = openSync(join(folder, `${name}.log`), "w");
    return spawnTied(`/usr/bin/swift-${name}-server`, [join(etc, `${name}-server.conf`)], {
      stdio: ["ignore", log, log],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", SWIFT_CONF_FILE: join(etc, "swift.conf") },
    });
  });
  const stop = async () => {
    await Promise.all(children.map(endChild));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (const [i, name] of DAEMONS.entries()) await waitForHttp(ports[name], children[i], `swift-${name}-server`);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    endpoint: `http://127.0.0.1:${ports.proxy}`,
    credentials: { accessKeyId: "test:tester", secretAccessKey: "testing-secret" },
    stop,
  };
}

/** The rings of all three services in one Python process: the command line tool takes a second for each of nine steps. */
function makeRings(etc, ports) {
  const script = `
import sys
from swift.common.ring import RingBuilder
etc, *pairs = sys.argv[1:]
for pair in pairs:
    name, port = pair.split(":")
    builder = RingBuilder(2, 1, 0)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "d1", "weight": 1.0})
    builder.rebalance()
    builder.get_ring().save("%s/%s.ring.gz" % (etc, name))
`;
  const pairs = Object.entries(ports).flatMap(([name, port]) => (name === "proxy" ? [] : [`${name}:${port}`]));
  execFileSync("/usr/bin/python3", ["-c", script, etc, ...pairs], {
    stdio: "pipe",
    env: { PATH: "/usr/bin:/bin", SWIFT_CONF_FILE: join(etc, "swift.conf") },
  });
}

const SWIFT_CONF = `[swift-hash]
swift_hash_path_prefix = x
swift_hash_path_suffix = y
[storage-policy:0]
name = p0
default = yes
[swift-constraints]
max_file_size = 5368709122
`;

function daemonConf(name, port, folder) {
  const common = `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
swift_dir = ${join(folder, "etc")}
workers = 0
user = ${userInfo().username}
log_level = WARNING
`;
  if (name === "proxy") return common + PROXY_PIPELINE;
  return `${common}devices = ${join(folder, "srv")}
mount_check = false
fallocate_reserve = 0
recon_cache_path = ${join(folder, "cache")}
[pipeline:main]
pipeline = ${name}-server
[app:${name}-server]
use = egg:swift#${name}
`;
}

const PROXY_PIPELINE = `[pipeline:main]
pipeline = catch_errors cache s3api tempauth copy slo symlink proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
check_bucket_owner = false
auth_pipeline_check = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing-secret .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:symlink]
use = egg:swift#symlink
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
`;
