// Processes of a test, found by the folder that they work in.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Processes whose command line or open files name `folder`. */
export function processesIn(folder) {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(folder) ||
          readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(folder))
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** The tippecanoe that works in `folder`, once it is itself and no longer the shell that starts it. */
export async function tippecanoeIn(folder) {
  for (let tries = 0; tries < 400; tries++) {
    const found = processesIn(folder).find((pid) => !/^(sh|setpriv|node)$/.test(nameOf(pid)));
    await sleep(25);
    // One that lives on: not a child on its way to another program.
    if (found !== undefined && processesIn(folder).includes(found)) return found;
  }
  throw new Error("tippecanoe did not start");
}

function nameOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "sh";
  }
}
