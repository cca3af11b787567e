import type { Options } from "../config/options.js";
import { PipelineError } from "../pipeline/errors.js";
import { type AwsAccess, checkEndpoint } from "./aws-client.js";
import { ProxyRules } from "./proxy.js";
import { isS3 } from "./remote-url.js";

/** How files at http(s):// and s3:// URLs are reached. */
export interface RemoteAccess extends AwsAccess {
  /** URL of an S3 server other than AWS, addressed by path. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
}

/** Options of commands that read files at URLs. */
const REMOTE_OPTIONS = ["retries", "proxy", "endpoint", "s3Region", "profile"] as const;

/** @throws {PipelineError} usage: a proxy or an endpoint that is no URL. */
export function remoteAccess(options: Pick<Options, (typeof REMOTE_OPTIONS)[number]>): RemoteAccess {
  const { retries, proxy, endpoint, s3Region, profile } = options;
  const proxies = ProxyRules.of(proxy);
  return { retries, proxies, endpoint: checkEndpoint(endpoint), region: s3Region, profile };
}

/** Directly, and with the AWS configuration of this machine. */
export const withoutProxies: RemoteAccess = {
  retries: 0,
  proxies: ProxyRules.none,
  endpoint: undefined,
  region: undefined,
  profile: undefined,
};

/** Name of the proxy that a URL is reached by, if any. */
export function proxyName(url: string, { proxies, endpoint }: RemoteAccess): string | undefined {
  const server = isS3(url) ? (endpoint ?? "https://s3.amazonaws.com") : url;
  return proxies.proxyFor(new URL(server))?.name;
}

/**
 * The URL, for messages and file names without what is secret in it.
 *
 * @throws {PipelineError} usage: no URL, or one that carries a user or password, which would stand in logs.
 */
export function checkRemote(url: string, what: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined) throw new PipelineError("usage", `${what} is no URL`, { received: url });
  if (parsed.username !== "" || parsed.password !== "")
    throw new PipelineError("usage", `${what} must not carry a user name or password`, { host: parsed.host });
  return parsed;
}
