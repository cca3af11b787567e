/**
 * Why an attempt failed, by whose fault it was. Only the item's own errors use up `--retries`;
 * what a node, a container runtime or a lack of memory did is tried again for its own number of times.
 */
export const FAULTS = ["item", "oom", "timeout", "node", "container"] as const;
export type Fault = (typeof FAULTS)[number];

export interface Failure {
  readonly fault: Fault;
  readonly message: string;
  readonly exit?: number;
  readonly signal?: string;
}

/** One failed attempt, as the item's record keeps it. */
export interface Attempt extends Failure {
  readonly at: string;
  readonly seconds: number;
  readonly runner: string;
}

/** How often each fault may happen to one item before it counts as failed. */
export type Budgets = Readonly<Record<Fault, number>>;

/**
 * @param retries  of item errors; the others are bounded so that an item that kills its node, or an image
 *   that never starts, ends as a failure and not as an endless loop.
 */
export function budgets(retries: number): Budgets {
  return { item: retries + 1, timeout: 2, oom: 3, node: 10, container: 20 };
}

export type Tries = Readonly<Partial<Record<Fault, number>>>;

export function addTry(tries: Tries, fault: Fault): Tries {
  return { ...tries, [fault]: (tries[fault] ?? 0) + 1 };
}

/** Milliseconds before the next attempt, or undefined when there is to be none. */
export function retryDelay(
  tries: Tries,
  fault: Fault,
  limits: Budgets,
  backoffMs: number,
  random: () => number = Math.random,
): number | undefined {
  const count = tries[fault] ?? 0;
  if (count >= limits[fault]) return undefined;
  // A lost node or a container that did not start says nothing about the item: soon again.
  const base = fault === "node" ? 0 : backoffMs * 2 ** Math.min(count - 1, 6);
  return Math.min(base, MAX_BACKOFF_MS) * (0.75 + 0.5 * random());
}

const MAX_BACKOFF_MS = 300_000;
