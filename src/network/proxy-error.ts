import type { WebProxy } from "./proxy.js";

/** Statuses of a proxy after which another attempt may help. */
const PASSING = new Set([408, 425, 429]);

/** What breaks a connection before anybody has answered; by way of a proxy, that to the proxy. */
const UNREACHABLE = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/;

export function isUnreachable(error: unknown): boolean {
  return UNREACHABLE.test((error as NodeJS.ErrnoException).code ?? "");
}

/** What a proxy, not the server behind it, did to a request. The message names the proxy, without user and password. */
export class ProxyError extends Error {
  override readonly name = "ProxyError";
  /** Error code of the connection, such as ECONNREFUSED. */
  readonly code?: string;

  /** @param status  that the proxy answered; undefined where it could not be reached. */
  constructor(
    readonly proxy: string,
    sentence: string,
    readonly status?: number,
    cause?: Error,
  ) {
    super(sentence, { cause });
    const code = (cause as NodeJS.ErrnoException | undefined)?.code;
    if (code !== undefined) this.code = code;
  }

  /** Whether trying again is of no use. */
  get isFinal(): boolean {
    const { status } = this;
    return status !== undefined && status < 500 && !PASSING.has(status);
  }

  /** Asked for by the AWS SDK, which tries such an error again. */
  get $retryable(): object | undefined {
    return this.isFinal ? undefined : {};
  }

  static unreachable({ name, source }: WebProxy, cause: Error): ProxyError {
    const { code, message } = cause as NodeJS.ErrnoException;
    return new ProxyError(
      name,
      `the proxy ${name} (${source}) cannot be reached: ${code ?? message}`,
      undefined,
      cause,
    );
  }

  /** @param target  host that was asked for. */
  static refusal({ name, source, hasUser }: WebProxy, status: number, target: string): ProxyError {
    const said =
      // 401 is what tinyproxy says of a wrong password.
      status === 407 || status === 401
        ? hasUser
          ? "does not accept this user and password"
          : "wants a user and a password"
        : status === 403
          ? `does not allow ${target}`
          : `cannot connect to ${target}`;
    return new ProxyError(name, `the proxy ${name} (${source}) ${said}: HTTP ${status}`, status);
  }
}
