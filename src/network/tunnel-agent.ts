import type { AgentOptions } from "node:https";
import { HttpsProxyAgent } from "https-proxy-agent";
import type { WebProxy } from "./proxy.js";
import { ProxyError } from "./proxy-error.js";

/** An agent for https:// requests by a tunnel through the proxy; what the proxy refuses fails by a ProxyError. */
export class TunnelAgent extends HttpsProxyAgent<string> {
  constructor(
    private readonly by: WebProxy,
    options: AgentOptions,
  ) {
    super(by.url.href, { ...options, headers: by.headers() });
  }

  /** Guessed otherwise, from the call stack; wrongly for a connection that is given back, which is then not used again. */
  override isSecureEndpoint(): boolean {
    return true;
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
