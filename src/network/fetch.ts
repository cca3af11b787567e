import type { ProxyRules } from "./proxy.js";

export type Fetch = typeof fetch;

/**
 * `fetch`, by way of the proxies that `rules` say. Where there is none it is Node's own, which knows no proxies,
 * and nothing is loaded.
 *
 * @throws {ProxyError} by the fetch, when the proxy cannot be reached or refuses.
 */
export function fetchBy(rules: ProxyRules): Fetch {
  if (rules.proxies.length === 0) return fetch;
  let loading: Promise<Fetch> | undefined;
  return async (input, init) => {
    loading ??= import("./proxy-fetch.js").then(({ proxyFetch }) => proxyFetch(rules));
    const through = await loading;
    return through(input, init);
  };
}
