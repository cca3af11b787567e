// The places that a user's other work lies in, as the tests see them: TMPDIR, HOME and, where mounting is
// permitted, /dev/shm are stand-ins with something in them, and must be afterwards as they were.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";

const SHARED_MEMORY = "/dev/shm";
/** Runs a command in a mount namespace with a /dev/shm of its own: bait, size, where to copy what is in it then. */
const IN_OWN_MEMORY = `mount -t tmpfs -o "mode=1777,size=$2" tmpfs ${SHARED_MEMORY} && cp -a "$1/." ${SHARED_MEMORY}/ || exit 125
after="$3"; shift 3; "$@"; code=$?; rm -rf "$after"; cp -a ${SHARED_MEMORY} "$after"; exit $code`;

/**
 * @returns `env` for the tests; `wrap`, which turns a command into one with the stand-ins; `changes()`, what is
 *   not as it was; `close()`.
 */
export function watchPlaces() {
  // Short: sockets below it must keep within 107 bytes. Open: tests start daemons of other users.
  const folder = mkdtempSync(join(tmpdir(), "ft-"));
  chmodSync(folder, 0o755);
  const [tmp, home, memory, after] = ["t", "home", "memory", "after"].map((name) => join(folder, name));
  for (const path of [tmp, home, memory, after]) mkdirSync(path);
  chmodSync(tmp, 0o1777);
  const kept = join(folder, "kept");
  mkdirSync(kept);
  writeFileSync(join(kept, "file"), "kept\n");
  for (const place of [tmp, home, memory]) populate(place, kept);
  const before = [tmp, home, kept, memory].map((place) => [place, listing(place)]);
  const mounts = canMount();
  return {
    // A compiler that keeps a cache does so in HOME.
    env: { TMPDIR: tmp, HOME: home, CCACHE_DISABLE: "1" },
    wrap: (command) =>
      mounts
        ? ["unshare", "--mount", "sh", "-c", IN_OWN_MEMORY, "sh", memory, String(memoryBytes()), after, ...command]
        : command,
    changes() {
      return before.flatMap(([place, entries]) => {
        const isMemory = place === memory;
        if (isMemory && !mounts) return [];
        return differences(isMemory ? SHARED_MEMORY : place, entries, listing(isMemory ? after : place));
      });
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** What could be taken for something of the pipeline's or of a test's, and is not. */
function populate(place, kept) {
  const dead = JSON.stringify({ token: "t", host: hostname(), pid: 1, namespace: "before", startTicks: "1", beat: 0 });
  for (const name of ["n", "temp", "work", "zones", "fields-pipeline-0123456789ab-us-2019", "fields-batch-host-1-ab"]) {
    mkdirSync(join(place, name, "deeper"), { recursive: true });
    for (const note of ["owner.json", ".holder", "deeper/file"]) writeFileSync(join(place, name, note), dead);
  }
  writeFileSync(join(place, "notes.txt"), "of somebody else's\n");
  symlinkSync(kept, join(place, "link"));
}

function listing(folder) {
  return new Map(
    readdirSync(folder, { recursive: true }).map((name) => {
      const path = join(folder, name);
      const stat = lstatSync(path);
      const kind = stat.isDirectory() ? "folder" : stat.isFile() ? readFileSync(path, "latin1") : "other";
      return [name, `${stat.mode} ${kind}`];
    }),
  );
}

function differences(place, before, now) {
  const changes = [];
  for (const [name, entry] of before)
    if (now.get(name) !== entry) changes.push(`${now.has(name) ? "changed" : "removed"}: ${join(place, name)}`);
  for (const name of now.keys()) if (!before.has(name)) changes.push(`left behind: ${join(place, name)}`);
  return changes;
}

function canMount() {
  if (!existsSync(SHARED_MEMORY)) return false;
  try {
    execFileSync("unshare", ["--mount", "mount", "-t", "tmpfs", "tmpfs", SHARED_MEMORY], { stdio: "pipe" });
    return true;
  } catch {
    return false;
  }
}

function memoryBytes() {
  const { blocks, bsize } = statfsSync(SHARED_MEMORY);
  return blocks * bsize;
}
