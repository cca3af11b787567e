import { type ClientRequest, Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { Agent, type AgentConnectOpts } from "agent-base";
import { HttpProxyAgent } from "http-proxy-agent";
import { HttpsProxyAgent } from "https-proxy-agent";
import type { ProxyRules, WebProxy } from "./proxy.js";
import { ProxyError } from "./proxy-error.js";

/** As many connections to a server as the AWS SDK would open by itself. */
const POOL = { keepAlive: true, maxSockets: 50 } as const;

/**
 * For http:// and https:// requests of Node, by way of the proxies that `rules` say. Requests fail by a
 * ProxyError when the proxy cannot be reached, or does not connect them.
 */
export class ProxyingAgent extends Agent {
  readonly #direct = { http: new HttpAgent(POOL), https: new HttpsAgent(POOL) };
  readonly #proxied = new Map<string, HttpAgent>();

  constructor(private readonly rules: ProxyRules) {
    super();
  }

  override connect(_request: ClientRequest, { host, port, secureEndpoint }: AgentConnectOpts): HttpAgent {
    const scheme = secureEndpoint ? "https" : "http";
    const proxy = this.rules.proxyFor(new URL(`${scheme}://${host?.includes(":") ? `[${host}]` : host}:${port}`));
    if (proxy === undefined) return this.#direct[scheme];
    let agent = this.#proxied.get(scheme);
    agent ??= secureEndpoint ? new Tunnel(proxy) : new Forward(proxy);
    this.#proxied.set(scheme, agent);
    return agent;
  }

  override destroy(): void {
    for (const agent of [this.#direct.http, this.#direct.https, ...this.#proxied.values()]) agent.destroy();
    super.destroy();
  }
}

/** For http://: the proxy itself is asked. */
class Forward extends HttpProxyAgent<string> {
  constructor(private readonly by: WebProxy) {
    super(by.url.href, { ...POOL, headers: by.headers() });
  }

  override connect(...args: Parameters<HttpProxyAgent<string>["connect"]>) {
    return super.connect(...args).catch((error: Error) => {
      throw ProxyError.unreachable(this.by, error);
    });
  }
}

/** For https://: the proxy connects, and hears nothing of what is said. */
class Tunnel extends HttpsProxyAgent<string> {
  constructor(private readonly by: WebProxy) {
    super(by.url.href, { ...POOL, headers: by.headers() });
  }

  override async connect(...args: Parameters<HttpsProxyAgent<string>["connect"]>) {
    const [request, { host }] = args;
    let status = 200;
    request.once("proxyConnect", ({ statusCode }: { statusCode: number }) => {
      status = statusCode;
    });
    const socket = await super.connect(...args).catch((error: Error) => {
      throw ProxyError.unreachable(this.by, error);
    });
    if (status === 200) return socket;
    // The proxy's answer would be taken for the server's.
    socket.destroy();
    throw ProxyError.refusal(this.by, status, host ?? "the server");
  }
}
