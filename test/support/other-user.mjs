// What another user of the machine does, in tests that run as root.
import { execFileSync } from "node:child_process";

/** Why nothing can be done as another user here; false when it can. */
export const notRoot =
  process.geteuid() === 0 ? false : "only root can act as another user; run the tests as root to try this";

/** Run a program as nobody (uid and gid 65534, no other groups). */
export function asNobody(program, ...args) {
  return execFileSync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", program, ...args], {
    encoding: "utf8",
    timeout: 30_000,
  });
}
