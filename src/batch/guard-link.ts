import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const GUARD = fileURLToPath(new URL("./guard.js", import.meta.url));

/** A runner's side of its guard (guard.ts). */
export class GuardLink {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  /**
   * @param leaseMs  items are killed after this time without a heartbeat.
   * @param work  folder that the guard removes at the end.
   * @param onLoss  called if the guard ends too early.
   */
  constructor(runner: string, leaseMs: number, work: string, onLoss: () => void) {
    this.#child = spawn(process.execPath, [GUARD, runner, String(leaseMs), work], {
      detached: true, // Not in the runner's process group, so signals to that group do not reach it.
      stdio: ["pipe", "ignore", "inherit"],
    });
    this.#child.stdin?.on("error", () => {}); // Its exit is handled below.
    let closing = false;
    this.#ended = new Promise((resolve) => {
      const ended = () => {
        if (!closing) onLoss();
        resolve();
      };
      this.#child.on("exit", ended);
      this.#child.on("error", ended);
    });
    this.close = async () => {
      closing = true;
      this.#child.stdin?.end("done\n");
      await this.#ended;
    };
  }

  /** The runner has ended all its items. */
  readonly close: () => Promise<void>;

  beat(): void {
    this.#say("beat");
  }

  started(group: number): void {
    this.#say(`start ${group}`);
  }

  ended(group: number): void {
    this.#say(`end ${group}`);
  }

  #say(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }
}
