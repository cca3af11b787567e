import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";
import { LivenessTracker } from "../pipeline/liveness-tracker.js";

/** Where claims are kept: one small object each, listed together. */
export interface ClaimStore {
  /** Write or renew a claim; the server stamps its time. */
  put(token: string): Promise<void>;
  remove(token: string): Promise<void>;
  /** All claims with the server's time of their last writing, in ms. */
  list(): Promise<readonly Claim[]>;
}

export interface Claim {
  readonly token: string;
  readonly writtenMs: number;
}

/** A claim that nobody renewed while another writer watched for this long is a dead writer's. */
const LEASE_MS = 60_000;
const WAIT_MS = 300_000;
const POLL_MS = 100;

/**
 * Mutual exclusion on a store that has no conditional writes but lists what was
 * written before (read-after-write).
 *
 * A writer that sees no claim puts its own, then lists. Alone: it holds the lock.
 * When two claim at once, the later to list sees the other, so both never proceed
 * on; the smallest token stays and waits, the others take theirs back.
 *
 * What is promised: no two writers inside at once, unless one of them stalls for
 * more than half a lease between its last `stillHeld()` and the write.
 *
 * @param leaseMs  see LEASE_MS.
 * @throws {PipelineError} publish, when others held the lock for too long.
 */
export async function withLockObject<T>(
  store: ClaimStore,
  name: string,
  ctx: Context,
  body: (stillHeld: () => boolean) => Promise<T>,
  leaseMs = LEASE_MS,
): Promise<T> {
  const token = randomUUID();
  const deadline = performance.now() + WAIT_MS + leaseMs;
  const watch = new LivenessTracker();
  /** When the own claim was last written; undefined while there is none. */
  let claimed: number | undefined;
  try {
    for (;;) {
      const claims = await store.list();
      const others = await dropDead(claims, token, watch, leaseMs, store, ctx);
      const mine = claims.some((claim) => claim.token === token);
      if (claimed !== undefined && mine && others.length === 0) {
        const since = claimed;
        const held = () => performance.now() - since < leaseMs / 2;
        if (held()) return await body(held);
      }
      if (performance.now() > deadline) {
        throw new PipelineError("publish", "Other writers held the lock for too long", { lock: name });
      }
      if (claimed !== undefined && others.some((other) => other < token)) {
        await store.remove(token);
        claimed = undefined;
      } else if (claimed === undefined ? others.length === 0 : performance.now() - claimed > leaseMs / 4) {
        claimed = performance.now();
        await store.put(token);
        continue;
      }
      await sleep(POLL_MS * (0.5 + Math.random()), undefined, { signal: ctx.signal });
    }
  } finally {
    if (claimed !== undefined) await giveBack(store, token, name, ctx);
  }
}

/** What was done under the lock is done; a claim that stays costs the next writer a lease. */
async function giveBack(store: ClaimStore, token: string, name: string, ctx: Context): Promise<void> {
  try {
    await store.remove(token);
  } catch (error) {
    ctx.log.warn(`lock object could not be removed: ${(error as Error).message}`, { lock: name });
  }
}

/** Tokens of the other writers that are alive; claims of dead ones are removed. */
async function dropDead(
  claims: readonly Claim[],
  own: string,
  watch: LivenessTracker,
  leaseMs: number,
  store: ClaimStore,
  ctx: Context,
) {
  const alive: string[] = [];
  for (const claim of claims) {
    if (claim.token === own) continue;
    if (watch.ms(claim.token, String(claim.writtenMs)) > leaseMs) {
      ctx.log.warn("removed the lock of a dead writer", { token: claim.token });
      await store.remove(claim.token);
    } else {
      alive.push(claim.token);
    }
  }
  return alive;
}
