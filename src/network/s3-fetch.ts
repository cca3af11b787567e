import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import {
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  paginateListObjectsV2,
  S3Client,
} from "@aws-sdk/client-s3";
import { PipelineError } from "../pipeline/errors.js";
import { awsClientConfig } from "./aws-client.js";
import { asS3Error, httpStatus } from "./aws-errors.js";
import type { Fetch } from "./fetch.js";
import type { RemoteAccess } from "./remote-access.js";
import { regionOf } from "./s3-region.js";

/** What another attempt, or a range of another version, may be asked for after: the caller judges them. */
const JUDGED_BY_CALLER = new Set([404, 412, 416, 429]);

/**
 * `fetch` of s3://bucket/key: GET and HEAD, with Range, If-Range and If-Match. Where there are no credentials, it asks
 * without a signature, as for public buckets.
 *
 * @throws {PipelineError} network, by the fetch: access denied, no such bucket, another region, wrong credentials.
 */
export function s3Fetch(access: RemoteAccess): Fetch {
  const clients = new S3Readers(access);
  return async (input, { method, headers, signal } = {}) => {
    const { bucket: Bucket, key: Key } = partsOf(String(input));
    const asked = new Headers(headers);
    const validator = asked.get("if-range");
    const etag = asked.get("if-match") ?? (validator?.startsWith('"') ? validator : null);
    const request = {
      Bucket,
      Key,
      ...(asked.has("range") && { Range: asked.get("range") as string }),
      ...(etag !== null && { IfMatch: etag }),
    };
    const abort = signal ? { abortSignal: signal } : {};
    try {
      return await clients.send(async (client) => {
        if (method === "HEAD") return responseOf(await client.send(new HeadObjectCommand(request), abort), true);
        return responseOf(await client.send(new GetObjectCommand(request), abort), false);
      });
    } catch (error) {
      const status = httpStatus(error);
      // S3 has no If-Range: after its refusal the whole is asked for, as a server that knows it would answer.
      if (status === 412 && asked.has("if-range"))
        return clients.send(async (client) =>
          responseOf(await client.send(new GetObjectCommand({ Bucket, Key }), abort), false),
        );
      const isBucket = (error as Error).name === "NoSuchBucket";
      if (status !== undefined && !isBucket && (status >= 500 || JUDGED_BY_CALLER.has(status)))
        return new Response(null, { status });
      if (status === undefined && (error as Error).name !== "CredentialsProviderError") throw error;
      throw asS3Error(
        error,
        "Cannot read from the S3 server",
        { url: String(input), endpoint: access.endpoint },
        "network",
      );
    }
  };
}

/**
 * Names of the objects right under s3://bucket/prefix/.
 *
 * @throws {PipelineError} network.
 */
export async function listS3(url: string, access: RemoteAccess, signal: AbortSignal): Promise<string[]> {
  const { bucket: Bucket, key: Prefix } = partsOf(url, true);
  try {
    return await new S3Readers(access).send(async (client) => {
      const names: string[] = [];
      const pages = paginateListObjectsV2({ client }, { Bucket, Prefix, Delimiter: "/" }, { abortSignal: signal });
      for await (const { Contents } of pages)
        for (const { Key } of Contents ?? [])
          if (Key !== undefined && Key !== Prefix) names.push(Key.slice(Prefix.length));
      return names;
    });
  } catch (error) {
    signal.throwIfAborted();
    throw asS3Error(error, "Cannot list the bucket", { url, endpoint: access.endpoint }, "network");
  }
}

/** Clients that read; retries are the caller's. */
class S3Readers {
  #client: S3Client;

  constructor(private readonly access: RemoteAccess) {
    this.#client = this.#newClient(true);
  }

  async send<T>(request: (client: S3Client) => Promise<T>): Promise<T> {
    try {
      return await request(this.#client);
    } catch (error) {
      if ((error as Error).name !== "CredentialsProviderError" || this.access.profile !== undefined) throw error;
      this.#client = this.#newClient(false);
      return request(this.#client);
    }
  }

  #newClient(signed: boolean): S3Client {
    const { endpoint } = this.access;
    return new S3Client({
      ...awsClientConfig({ ...this.access, retries: 0 }),
      region: () => regionOf(this.access),
      ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
      followRegionRedirects: endpoint === undefined,
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
      ...(!signed && {
        credentials: { accessKeyId: "", secretAccessKey: "" },
        signer: { sign: async (request) => request },
      }),
    });
  }
}

function responseOf(output: Omit<GetObjectCommandOutput, "Body"> & { Body?: unknown }, isHead: boolean): Response {
  const { ETag, LastModified, ContentLength, ContentRange, ContentEncoding, Body } = output;
  const headers = new Headers();
  const set = (name: string, value: string | undefined) => value !== undefined && headers.set(name, value);
  set("etag", ETag);
  set("last-modified", LastModified?.toUTCString());
  set("content-length", ContentLength?.toString());
  set("content-range", ContentRange);
  set("content-encoding", ContentEncoding || undefined);
  const body = isHead ? null : (Readable.toWeb(Body as Readable) as ReadableStream);
  return new Response(body as ConstructorParameters<typeof Response>[0], {
    status: ContentRange === undefined ? 200 : 206,
    headers,
  });
}

function partsOf(url: string, isFolder = false): { bucket: string; key: string } {
  const [, bucket, key] = /^s3:\/\/([A-Za-z0-9][A-Za-z0-9._-]+)(?:\/(.*))?$/i.exec(url) ?? [];
  if (bucket !== undefined && (isFolder || key)) return { bucket, key: key ?? "" };
  throw new PipelineError("usage", "An S3 URL must be s3://bucket/key", { received: url });
}
