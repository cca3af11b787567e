import { STATUS_CODES } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "../pipeline/context.js";
import { PipelineError, type Where } from "../pipeline/errors.js";
import { ProxyError } from "./proxy-error.js";

/** Beyond this a Retry-After is no hiccup, and a job's hours are better not slept away. */
const LONGEST_WAIT_MS = 3_600_000;
/** Client errors that pass: request timeout, too early, too many requests. */
const PASSING = new Set([408, 425, 429]);

export interface FetchTiming {
  /** Wait before the first retry; doubled with each further one, give or take half (so that nodes do not knock in step). */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** A connection that brings no byte for this long counts as broken. */
  readonly stallMs: number;
}

export const FETCH_TIMING: FetchTiming = { backoffMs: 1_000, maxBackoffMs: 60_000, stallMs: 60_000 };

/** A failed attempt after which another one may help. */
export class Retry extends Error {
  constructor(
    message: string,
    /** As long as the server asked to wait, or longer. */
    readonly waitMs = 0,
  ) {
    super(message);
  }
}

/**
 * Try until an attempt succeeds, with growing waits.
 *
 * @param options.progressed  whether the failed attempt brought so much that the retries are counted anew.
 * @param options.where       for warnings and the last error.
 * @param options.sentence    of the last error: `Download failed`.
 * @throws {PipelineError} network after all retries; what an attempt throws besides `Retry`; the signal's reason.
 */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  options: {
    readonly retries: number;
    readonly timing: FetchTiming;
    readonly sentence: string;
    readonly where: () => Where;
    readonly progressed?: () => boolean;
  },
  ctx: Context,
): Promise<T> {
  const { retries, timing, sentence } = options;
  for (let failures = 0; ; ) {
    try {
      return await attempt();
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (!(error instanceof Retry)) throw error;
      if (options.progressed?.()) failures = 0;
      failures++;
      const retryAfterS = error.waitMs > 0 ? Math.round(error.waitMs / 1000) : undefined;
      const where = { ...options.where(), received: error.message, retryAfterS };
      if (failures > retries || error.waitMs > LONGEST_WAIT_MS) {
        throw new PipelineError("network", `${sentence} after ${failures} attempts`, where);
      }
      const backoff = Math.min(timing.maxBackoffMs, timing.backoffMs * 2 ** (failures - 1)) * (0.5 + Math.random());
      const waitMs = Math.max(backoff, error.waitMs);
      const waitS = Math.round(waitMs / 100) / 10;
      ctx.log.warn("download interrupted, trying again", { ...where, retry: failures, waitS });
      await sleep(waitMs, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
    }
  }
}

/** The error of a status that is no success: a `Retry` where another attempt may help. */
export function statusError(response: Response, where: Where): Error {
  const { status } = response;
  // In the standard's words: the server's own get lost on the way through a proxy.
  const received = ["HTTP", status, STATUS_CODES[status]].filter(Boolean).join(" ");
  if (status >= 500 || PASSING.has(status)) return new Retry(received, retryAfterMs(response));
  return new PipelineError("network", "Download refused by the server", { ...where, received });
}

/** Retry-After in ms, given as seconds or as a date; 0 when there is none. */
function retryAfterMs(response: Response): number {
  const text = response.headers.get("retry-after")?.trim() ?? "";
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

/** `fetch failed` hides what happened in its causes; certificates do not mend themselves. */
export function connectionError(error: unknown, url: string, proxy: string | undefined): Error {
  if (error instanceof ProxyError) {
    return error.isFinal
      ? new PipelineError("network", "Download failed", { url }, { cause: error })
      : new Retry(error.message);
  }
  let root = error as NodeJS.ErrnoException;
  while (root.cause instanceof Error) root = root.cause as NodeJS.ErrnoException;
  const received = [root.code, root.message].filter(Boolean).join(" ");
  if (/CERT|TLS|SELF_SIGNED|UNABLE_TO_VERIFY/.test(root.code ?? "")) {
    return new PipelineError("network", "Server certificate cannot be verified", { url, proxy, received });
  }
  return new Retry(received);
}
