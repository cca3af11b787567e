import { connect } from "node:net";
import type { Options } from "../config/options.js";
import { fetchBy } from "../network/fetch.js";
import { ProxyRules, type WebProxy } from "../network/proxy.js";
import { ProxyError } from "../network/proxy-error.js";
import { type Check, type Finding, fail, ok, warn } from "./finding.js";

const TIMEOUT_MS = 15_000;

/** Which web proxy is in force, and whether it answers; user and password are in no finding. */
export function proxyChecks(options: Options): Check[] {
  return [{ name: "proxy", run: () => proxies(options) }];
}

async function proxies(options: Options): Promise<Finding[]> {
  const rules = ProxyRules.of(options.proxy);
  if (rules.proxies.length === 0) {
    const why = options.proxy === "none" ? "--proxy none" : "neither HTTPS_PROXY nor HTTP_PROXY is set";
    return [ok("proxy", `none, all is reached directly: ${why}`)];
  }
  const wanted = destinations(options);
  const direct = wanted.filter((url) => rules.proxyFor(url) === undefined).map(({ host }) => host);
  const findings = rules.proxies.map((proxy) =>
    examined(
      proxy,
      wanted.filter((url) => rules.proxyFor(url) === proxy),
      rules,
    ),
  );
  return [
    ...(await Promise.all(findings)),
    ...(direct.length > 0 ? [ok("proxy", `not for ${direct.join(" ")}: NO_PROXY, or none for its scheme`)] : []),
  ];
}

/** The servers that a year needs. */
function destinations({ cdlSource, target, endpoint, s3Region }: Options): URL[] {
  const source = cdlSource.replaceAll("{year}", "2020");
  const s3 = endpoint ?? `https://s3.${s3Region ?? "us-east-1"}.amazonaws.com`;
  return [...(/^https?:/i.test(source) ? [source] : []), ...(target?.startsWith("s3:") ? [s3] : [])]
    .filter((text) => URL.canParse(text))
    .map((text) => new URL(new URL(text).origin));
}

async function examined(proxy: WebProxy, wanted: readonly URL[], rules: ProxyRules): Promise<Finding> {
  const named = `${proxy.name} (${proxy.source}${proxy.hasUser ? ", with a user" : ""})`;
  const remedy = `correct ${proxy.source}, or pass --proxy URL; --proxy none where the node has a way out of its own`;
  if (wanted.length === 0) {
    const problem = await connectionProblem(proxy);
    if (problem !== undefined) return warn("proxy", `${named} cannot be reached: ${problem}`, remedy);
    return ok("proxy", `${named} answers; this year needs nothing by way of it`);
  }
  const fetch = fetchBy(rules);
  const hosts = wanted.map(({ host }) => host).join(" ");
  for (const url of wanted) {
    try {
      await (await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(TIMEOUT_MS) })).body?.cancel();
    } catch (error) {
      // Errors behind the proxy are reported by the check of that server.
      if (error instanceof ProxyError) {
        const { message } = error;
        // It works, and is not to blame for a server that is down.
        if (error.status !== undefined && error.status >= 500) return warn("proxy", message, remedy);
        return fail("proxy", message, remedy);
      }
      if ((error as Error).name === "TimeoutError") {
        return fail("proxy", `${named} gives no answer from ${url.host} in ${TIMEOUT_MS / 1000} s`, remedy);
      }
    }
  }
  return ok("proxy", `${named} answers, for ${hosts}`);
}

/** Why no connection to the proxy can be made; undefined when it can. */
function connectionProblem({ url }: WebProxy): Promise<string | undefined> {
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  return new Promise((resolve) => {
    const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ""), port, timeout: TIMEOUT_MS });
    const end = (problem?: string) => {
      socket.destroy();
      resolve(problem);
    };
    socket.once("connect", () => end());
    socket.once("timeout", () => end(`no answer in ${TIMEOUT_MS / 1000} s`));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}
