import { PipelineError } from "../pipeline/errors.js";
import type { ProxyRules } from "./proxy.js";
import { ProxyHandler } from "./proxy-handler.js";

/** A server that is silent for so long is taken for gone; completing a large upload may take a minute. */
const SILENCE_MS = 180_000;
const CONNECT_MS = 10_000;

/** How any AWS service is reached. */
export interface AwsAccess {
  /** Section of the AWS configuration; credentials come by the SDK's own chain, and are never logged. */
  readonly profile: string | undefined;
  /** Attempts after a failed request, with backoff. Refused credentials are not tried again. */
  readonly retries: number;
  /** How the services are reached, those included that hand out credentials; not a machine's own metadata. */
  readonly proxies: ProxyRules;
}

/** The part of a client's configuration that all services share. */
export function awsClientConfig({ profile, retries, proxies }: AwsAccess) {
  // The SDK announces on stderr of every run which Node its releases of next year will want.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
  return {
    maxAttempts: retries + 1,
    requestHandler: handlerOf(proxies),
    ...(profile !== undefined && { profile }),
  };
}

function handlerOf(proxies: ProxyRules) {
  const timeouts = { connectionTimeout: CONNECT_MS, socketTimeout: SILENCE_MS };
  return proxies.proxies.length === 0 ? timeouts : new ProxyHandler(proxies, timeouts);
}

/** @throws {PipelineError} usage, when the endpoint is no URL, or carries a user or password. */
export function checkEndpoint(endpoint: string | undefined): string | undefined {
  if (endpoint === undefined) return undefined;
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  // A password in the URL would end up in logs and records.
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    throw new PipelineError("usage", "Option endpoint must be an http:// or https:// URL without user and password", {
      received: url === undefined ? endpoint : `${url.protocol}//${url.host}`,
    });
  }
  return endpoint.replace(/\/+$/, "");
}
