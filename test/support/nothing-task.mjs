/** A task for workers: nothing. */
export function nothing() {}
nothing.module = import.meta.url;
