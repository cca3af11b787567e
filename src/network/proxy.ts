import { PipelineError } from "../pipeline/errors.js";
import { NoProxy } from "./no-proxy.js";

/** A web proxy. User and password are in no property that is printed. */
export class WebProxy {
  /** As errors and logs name it: `proxy.example.org:3128`. */
  readonly name: string;
  /** Without user and password. */
  readonly url: URL;
  readonly #authorization: string | undefined;

  /** @param source  where it was set: `--proxy`, `HTTPS_PROXY`. */
  constructor(
    url: URL,
    readonly source: string,
  ) {
    this.url = new URL(`${url.protocol}//${url.host}`);
    this.name = `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`;
    const [user, password] = [url.username, url.password].map(decodeURIComponent);
    if (user || password) this.#authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  }

  /** For each request to the proxy; empty without a user. */
  headers(): Record<string, string> {
    return this.#authorization === undefined ? {} : { "Proxy-Authorization": this.#authorization };
  }

  get hasUser(): boolean {
    return this.#authorization !== undefined;
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

/** By which proxy a URL is reached: one rule for downloads, uploads and whatever else goes out. */
export class ProxyRules {
  /** No proxy for anything. */
  static readonly none = new ProxyRules(undefined, undefined, "");

  private constructor(
    private readonly http: WebProxy | undefined,
    private readonly https: WebProxy | undefined,
    noProxy: string,
  ) {
    this.#noProxy = new NoProxy(noProxy);
  }

  readonly #noProxy: NoProxy;

  /**
   * `--proxy` where it was given, else HTTPS_PROXY for https:// and HTTP_PROXY for http://; small letters go
   * first, as with curl. NO_PROXY holds for all of them.
   *
   * @param option  URL, `none`, or undefined.
   * @throws {PipelineError} usage, naming the option or variable, never user and password.
   */
  static of(option: string | undefined, env: Environment = process.env): ProxyRules {
    if (option === "none") return ProxyRules.none;
    const [, noProxy = ""] = variable("NO_PROXY", env);
    if (option !== undefined) {
      const proxy = proxyOf(option, "--proxy");
      return new ProxyRules(proxy, proxy, noProxy);
    }
    const [http, https] = ["HTTP_PROXY", "HTTPS_PROXY"].map((name) => {
      const [source, text] = variable(name, env);
      return text === undefined ? undefined : proxyOf(text, source);
    });
    return new ProxyRules(http, https, noProxy);
  }

  /** Undefined: directly. */
  proxyFor(url: URL): WebProxy | undefined {
    const proxy = url.protocol === "https:" ? this.https : this.http;
    return proxy === undefined || this.#noProxy.covers(url) ? undefined : proxy;
  }

  /** All that there are, NO_PROXY aside. */
  get proxies(): readonly WebProxy[] {
    return [...new Set([this.https, this.http].filter((proxy) => proxy !== undefined))];
  }
}

/** Name and value of an environment variable in small or capital letters; an empty one counts as none. */
function variable(name: string, env: Environment): [string, string | undefined] {
  const found = [name.toLowerCase(), name].find((candidate) => env[candidate]?.trim());
  return [found ?? name, found === undefined ? undefined : env[found]?.trim()];
}

function proxyOf(text: string, source: string): WebProxy {
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && isDecodable(url)) return new WebProxy(url, source);
  throw new PipelineError("usage", "A proxy must be an http:// or https:// URL", {
    source,
    // In a text that is not a URL, any part may be the password.
    received: url === undefined ? "no URL" : `${url.protocol}//${url.host}`,
  });
}

function isDecodable({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}
