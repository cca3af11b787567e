/**
 * Run `task` over `items`, at most `limit` at a time, and yield results in input
 * order: what is written then does not depend on threads. No task outlives its
 * caller: leaving early waits for what is under way.
 */
export async function* mapOrdered<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  task: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const pending: Promise<R>[] = [];
  try {
    for await (const item of items) {
      const result = task(item);
      result.catch(() => {}); // reported at its await; never unhandled before
      pending.push(result);
      if (pending.length >= limit) yield await (pending.shift() as Promise<R>);
    }
    while (pending.length > 0) yield await (pending.shift() as Promise<R>);
  } finally {
    await Promise.allSettled(pending);
  }
}

/** Run `task` over `items`, at most `limit` at a time, in any order; the first error ends it. */
export async function forEachBounded<T>(
  items: Iterable<T>,
  limit: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failed = false;
  const lane = async () => {
    for (let next = iterator.next(); !next.done && !failed; next = iterator.next()) {
      try {
        await task(next.value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: limit }, lane));
  const rejected = results.find((result) => result.status === "rejected");
  if (rejected) throw rejected.reason;
}
