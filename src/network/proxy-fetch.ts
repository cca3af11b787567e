import { Agent, Dispatcher, ProxyAgent, fetch as undiciFetch } from "undici";
import type { ProxyRules, WebProxy } from "./proxy.js";
import { isUnreachable, ProxyError } from "./proxy-error.js";

/** See `fetchBy`. Redirects go by the rules too; connections are kept. */
export function proxyFetch(rules: ProxyRules): typeof fetch {
  const dispatcher = new Router(rules);
  // The same interface, declared twice: by this package and by Node.
  const through = undiciFetch as unknown as (input: unknown, init: object) => Promise<Response>;
  return async (input, init) => {
    try {
      return await through(input, { ...init, dispatcher });
    } catch (error) {
      const url = new URL(input instanceof Request ? input.url : input);
      const proxy = rules.proxyFor(url);
      throw (proxy && proxyErrorIn(error, proxy, url)) ?? error;
    }
  };
}

class Router extends Dispatcher {
  readonly #direct = new Agent();
  readonly #agents = new Map<WebProxy, ProxyAgent>();

  constructor(private readonly rules: ProxyRules) {
    super();
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandlers): boolean {
    const proxy = this.rules.proxyFor(new URL(options.origin as URL | string));
    return (proxy === undefined ? this.#direct : this.#agentOf(proxy)).dispatch(options, handler);
  }

  #agentOf(proxy: WebProxy): ProxyAgent {
    let agent = this.#agents.get(proxy);
    // As curl does: http:// is asked of the proxy itself, for many let CONNECT to port 443 only.
    agent ??= new ProxyAgent({ uri: proxy.url.href, headers: proxy.headers(), proxyTunnel: false });
    this.#agents.set(proxy, agent);
    return agent;
  }
}

/** The proxy's part in a failed fetch, which hides it in its causes. */
function proxyErrorIn(error: unknown, proxy: WebProxy, url: URL): ProxyError | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isUnreachable(cause)) return ProxyError.unreachable(proxy, cause);
    const status = /^Proxy .*\((\d{3})\)/.exec(cause.message)?.[1];
    if (status !== undefined) return ProxyError.refusal(proxy, Number(status), url.host);
  }
  return undefined;
}
