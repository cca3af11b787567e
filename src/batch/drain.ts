import { PipelineError } from "../pipeline/errors.js";

/** Before any item was measured, their duration is unknown. */
const MARGIN = 1.1;

/**
 * Decides whether an item may start: not if it cannot end before the time limit, and none
 * after the first such item.
 */
export class Drain {
  #timeShort = false;
  #longestMs: number;

  /**
   * @param endsAt  when running items are stopped, ms since 1970; undefined for no limit.
   * @param itemMs  duration of an item, if given by the user; else the longest one so far.
   * @param notice  aborted to start draining at once.
   */
  constructor(
    readonly endsAt: number | undefined,
    private readonly itemMs: number | undefined,
    private readonly notice: AbortSignal,
    private readonly now: () => number = Date.now,
  ) {
    this.#longestMs = itemMs ?? 0;
  }

  get draining(): boolean {
    return this.#timeShort || this.notice.aborted;
  }

  measured(ms: number): void {
    if (this.itemMs === undefined) this.#longestMs = Math.max(this.#longestMs, ms * MARGIN);
  }

  mayStart(): boolean {
    if (this.endsAt !== undefined && this.now() + this.#longestMs >= this.endsAt) this.#timeShort = true;
    return !this.draining;
  }

  /** Ms until running items are stopped; undefined for no limit. */
  msLeft(): number | undefined {
    return this.endsAt === undefined ? undefined : Math.max(0, this.endsAt - this.now());
  }
}

/**
 * `--until`: a time (ISO 8601, as 2026-11-30T06:00 in local time), or +SECONDS from now.
 *
 * @returns ms since 1970.
 * @throws {PipelineError} usage.
 */
export function parseUntil(text: string, now: number): number {
  const seconds = /^\+(\d{1,9})$/.exec(text)?.[1];
  const time = seconds === undefined ? Date.parse(text) : now + Number(seconds) * 1000;
  if (!Number.isNaN(time)) return time;
  throw new PipelineError("usage", "--until must be a time or +SECONDS", {
    expected: "2026-11-30T06:00 or +3600",
    received: text,
  });
}
