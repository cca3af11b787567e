import type { Pool } from "../parallel/pool.js";
import type { Context } from "../pipeline/context.js";
import type { Base } from "./base.js";
import { type RewriteReport, rewriteAttributes, type YearOutput } from "./rewrite-attributes.js";

/**
 * Several years' attributes in one pass over the base. It begins when all expected outputs have joined or
 * withdrawn.
 */
export class RewritePass {
  readonly #outputs: YearOutput[] = [];
  readonly #report = deferred<RewriteReport>();
  #missing: number;
  #start: (() => Promise<RewriteReport>) | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param expected  number of outputs. */
  constructor(expected = 1) {
    this.#missing = expected;
    this.#report.promise.catch(() => {}); // reported to those that joined
  }

  /** One output's membership in the pass. */
  member(): PassMember {
    let here = false;
    const arrive = () => {
      if (here) return;
      here = true;
      this.#missing--;
      if (this.#missing === 0) this.#start?.().then(this.#report.resolve, this.#report.reject);
    };
    return {
      inTurn: (task) => this.#inTurn(task),
      join: (base, output, pool, ctx) => {
        this.#outputs.push(output);
        this.#start ??= () => rewriteAttributes(base, this.#outputs, pool, ctx);
        arrive();
        return this.#report.promise;
      },
      leave: arrive,
    };
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(task);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

export interface PassMember {
  /** Run a function while no other member does: joining a year's crops briefly takes 8 bytes per field. */
  inTurn<T>(task: () => Promise<T>): Promise<T>;
  /** Add the output and wait until all are made. */
  join(base: Base, output: YearOutput, pool: Pool, ctx: Context): Promise<RewriteReport>;
  /** Withdraw; no effect after `join`. */
  leave(): void;
}

function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    [resolve, reject] = [yes, no];
  });
  return { promise, resolve, reject };
}
