import { Agent } from "node:http";
import { NodeHttpHandler, type NodeHttpHandlerOptions } from "@smithy/node-http-handler";
import type { ProxyRules, WebProxy } from "./proxy.js";
import { isUnreachable, ProxyError } from "./proxy-error.js";

type Handle = NodeHttpHandler["handle"];
type Request = Parameters<Handle>[0];

/** As many connections to a server as the handler opens by itself. */
const POOL = { keepAlive: true, maxSockets: 50 } as const;

/**
 * The AWS SDK's way to a server, by way of the proxies that `rules` say. Requests fail by a ProxyError when the
 * proxy cannot be reached, or does not connect them.
 */
export class ProxyHandler extends NodeHttpHandler {
  #forward: NodeHttpHandler | undefined;
  #tunnel: NodeHttpHandler | undefined;

  constructor(
    private readonly rules: ProxyRules,
    private readonly options: NodeHttpHandlerOptions,
  ) {
    super(options);
  }

  override async handle(...[request, options]: Parameters<Handle>): ReturnType<Handle> {
    const proxy = this.rules.proxyFor(originOf(request));
    if (proxy === undefined) return super.handle(request, options);
    if (request.protocol === "https:") return this.#tunnelOf(proxy).handle(request, options);
    return this.#forwarded(request, proxy, options);
  }

  override destroy(): void {
    this.#forward?.destroy();
    this.#tunnel?.destroy();
    super.destroy();
  }

  /** http:// is asked of the proxy itself, for many let CONNECT to port 443 only. */
  async #forwarded(request: Request, proxy: WebProxy, options: Parameters<Handle>[1]): ReturnType<Handle> {
    this.#forward ??= new NodeHttpHandler({ ...this.options, httpAgent: new Agent(POOL) });
    const { protocol, hostname, port } = proxy.url;
    const asked = Object.assign(request.clone(), {
      protocol,
      hostname,
      port: port === "" ? undefined : Number(port),
      path: originOf(request).origin + request.path,
      headers: { ...request.headers, ...proxy.headers() },
    });
    const answer = await this.#forward.handle(asked, options).catch((error: Error) => {
      throw isUnreachable(error) ? ProxyError.unreachable(proxy, error) : error;
    });
    if (answer.response.statusCode !== 407) return answer;
    answer.response.body?.destroy();
    throw ProxyError.refusal(proxy, 407, request.hostname);
  }

  /** For https:// the proxy connects, and hears nothing of what is said. */
  #tunnelOf(proxy: WebProxy): NodeHttpHandler {
    this.#tunnel ??= new NodeHttpHandler(async () => {
      const { TunnelAgent } = await import("./tunnel-agent.js");
      return { ...this.options, httpsAgent: new TunnelAgent(proxy, POOL) };
    });
    return this.#tunnel;
  }
}

function originOf({ protocol, hostname, port }: Request): URL {
  return new URL(`${protocol}//${hostname}${port === undefined ? "" : `:${port}`}`);
}
