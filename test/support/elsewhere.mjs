// Another host, as far as a process can tell: its own host name, process ids and /proc.
import { execFileSync } from "node:child_process";

/** Words before a command that is to run there. */
export const ELSEWHERE = [
  "unshare",
  "--uts",
  "--pid",
  "--mount-proc",
  "--fork",
  "--kill-child",
  "sh",
  "-c",
  'hostname node-7; exec "$@"',
  "sh",
];

/** Why nothing can run there; false when it can. */
export const notElsewhere = (() => {
  try {
    execFileSync(ELSEWHERE[0], [...ELSEWHERE.slice(1), "true"], { stdio: "pipe" });
    return false;
  } catch {
    return "namespaces of its own are not permitted here";
  }
})();
