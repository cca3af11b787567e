import { type ErrorKind, PipelineError, type Where } from "../pipeline/errors.js";
import { ProxyError } from "./proxy-error.js";

/** The parts of an SDK error that say what happened; its request and response are never shown. */
interface SdkError extends Error {
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const UNREACHABLE =
  /^(ECONN\w+|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|EPIPE|TimeoutError|CERT_\w+|DEPTH_ZERO\w+|ERR_TLS\w+|UNABLE_TO\w+|SELF_SIGNED\w+)$/;

export function httpStatus(error: unknown): number | undefined {
  return (error as SdkError | undefined)?.$metadata?.httpStatusCode;
}

/** The error code of an AWS service, as `NoSuchKey`; for an answer without a body what the SDK makes of its status. */
export function awsCode(error: unknown): string {
  return error instanceof Error ? error.name : "";
}

/**
 * Whether a server may have refused a write for the checksum headers in it. Servers that do not know them answer
 * in different ways: 501 NotImplemented (Cloudflare R2), 400 InvalidArgument or XAmzContentSHA256Mismatch (older MinIO
 * and Ceph, Backblaze), 411 MissingContentLength (Dell ECS), 403 SignatureDoesNotMatch (Google Cloud Storage).
 */
export function mayRefuseChecksums(error: unknown): boolean {
  const status = httpStatus(error);
  if (status === 403) return awsCode(error) === "SignatureDoesNotMatch";
  return status === 400 || status === 411 || status === 501;
}

/** The first line of what a server or the SDK says; later ones may repeat signed headers, with a session token. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trimStart().split("\n", 1)[0] ?? "";
}

/**
 * What went wrong at an S3 server, in words that say what to check.
 *
 * @param where  names the target and the endpoint; never credentials.
 * @param kind   network for what is read, publish for what is written.
 */
export function asS3Error(error: unknown, what: string, where: Where, kind: ErrorKind = "publish"): PipelineError {
  if (error instanceof PipelineError) return error;
  const status = httpStatus(error);
  const code = (error as SdkError).code ?? awsCode(error);
  const at = { ...where, status, code: code === "Error" ? undefined : code };
  // Not the error itself: it carries the whole signed request along.
  const cause = firstLine(error) === "" ? undefined : new Error(firstLine(error));
  const say = (sentence: string) => new PipelineError(kind, sentence, at, { cause });

  if (error instanceof ProxyError) return new PipelineError(kind, what, where, { cause: new Error(error.message) });
  if (UNREACHABLE.test(code)) {
    const way = where.proxy === undefined ? "" : " by way of the proxy";
    return say(`Cannot reach the S3 server${way}; is it up, and the endpoint right?`);
  }
  if (/^(CredentialsProviderError|TokenProviderError)$/.test(code)) {
    return say("No AWS credentials found; set a profile, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role");
  }
  if (/^(InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|TokenRefreshRequired)$/.test(code)) {
    return say("The server refuses the credentials; check the profile, its keys and their expiry, and the region");
  }
  if (code === "RequestTimeTooSkewed") return say("The server refuses the request's time; check this machine's clock");
  if (code === "NoSuchBucket")
    return say(
      `There is no such bucket; ${kind === "publish" ? "make it, or correct the target" : "correct its name"}`,
    );
  if (code === "PermanentRedirect" || status === 301)
    return say("The bucket lies in another region; pass it as --s3-region");
  if (code === "AccessDenied" || status === 401 || status === 403) {
    const actions =
      kind === "publish" ? "s3:GetObject, s3:PutObject and s3:ListBucket" : "s3:GetObject and s3:ListBucket";
    return say(`The server denies access; the credentials must be right and allow ${actions} there`);
  }
  if (status === 429 || status === 503) return say(`${what}: the server stayed too busy`);
  return say(what);
}
