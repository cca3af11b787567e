import { readFile } from "node:fs/promises";
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  S3Client,
} from "@aws-sdk/client-s3";
import { type AwsAccess, awsClientConfig } from "../network/aws-client.js";
import { asS3Error, awsCode, httpStatus, mayRefuseChecksums } from "../network/aws-errors.js";
import { regionOf } from "../network/s3-region.js";
import type { Context } from "../pipeline/context.js";
import { type ClaimStore, withLockObject } from "./lock-object.js";
import { partBytesFor, type UploadTuning, uploadInParts } from "./multipart.js";
import type {
  Condition,
  Headers,
  PutFileOptions,
  PutOutcome,
  SourceFile,
  StoredObject,
  StoredText,
  Target,
  Transfer,
} from "./target.js";

export interface S3TargetOptions extends AwsAccess {
  readonly bucket: string;
  /** Without slashes at its ends; empty for none. */
  readonly prefix: string;
  /** URL of a server other than AWS; it is addressed by path (`endpoint/bucket/key`). */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  /** Send checksum headers, as long as the server takes them. */
  readonly checksums: boolean;
  readonly tuning: S3Tuning;
}

/** For tests and unusual networks; the defaults fit. */
export interface S3Tuning extends UploadTuning {
  /** After how long a silent writer's lock object is taken for dead. */
  readonly leaseMs?: number;
}

/** A bucket at AWS or at any server that speaks S3. */
export class S3Target implements Target {
  readonly name: string;
  #client: S3Client;
  #checksums: boolean;
  readonly #region: () => Promise<string>;

  constructor(private readonly options: S3TargetOptions) {
    const { bucket, prefix } = options;
    this.name = `s3://${[bucket, prefix].filter(Boolean).join("/")}`;
    this.#region = () => regionOf(options);
    this.#checksums = options.checksums;
    this.#client = this.#newClient(this.#checksums);
  }

  #newClient(checksums: boolean): S3Client {
    const { endpoint } = this.options;
    return new S3Client({
      ...awsClientConfig(this.options),
      region: this.#region,
      ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
      followRegionRedirects: endpoint === undefined,
      ...(!checksums && { requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED" }),
    });
  }

  /** Write with checksum headers; once a server has refused them, without: signatures still cover every byte. */
  async #write<T>(ctx: Context, send: (client: S3Client, checksums: boolean) => Promise<T>): Promise<T> {
    if (!this.#checksums) return send(this.#client, false);
    try {
      return await send(this.#client, true);
    } catch (error) {
      if (ctx.signal.aborted || !mayRefuseChecksums(error)) throw error;
      const plain = this.#newClient(false);
      const refused = () => {
        if (!this.#checksums) return;
        [this.#client, this.#checksums] = [plain, false];
        const { name } = this;
        ctx.log.warn("The server rejects checksum headers; sending none", { target: name, code: awsCode(error) });
      };
      try {
        const result = await send(plain, false);
        refused();
        return result;
      } catch (again) {
        // It has understood the request this time.
        if (httpStatus(again) === 412) refused();
        throw again;
      }
    }
  }

  urlPath(key: string): string {
    return `/${this.#object(key).Key}`;
  }

  async url(key: string): Promise<string> {
    const { bucket, endpoint } = this.options;
    const path = this.#object(key).Key.split("/").map(encodeURIComponent).join("/");
    if (endpoint !== undefined) return `${endpoint}/${bucket}/${path}`;
    return `https://${bucket}.s3.${await this.#region()}.amazonaws.com/${path}`;
  }

  async stat(key: string, ctx: Context): Promise<StoredObject | undefined> {
    const head = await this.#told(key, "Cannot look at the object", ctx, () =>
      this.#client.send(new HeadObjectCommand(this.#object(key)), { abortSignal: ctx.signal }),
    );
    if (head === undefined) return undefined;
    return { bytes: head.ContentLength ?? 0, checksum: head.Metadata?.sha256, fingerprint: head.Metadata?.fingerprint };
  }

  async putFile(key: string, source: SourceFile, options: PutFileOptions, ctx: Context): Promise<Transfer> {
    const { tuning } = this.options;
    const object = this.#object(key);
    const metadata = { sha256: source.checksum, fingerprint: source.fingerprint };
    const send = async (client: S3Client, checksums: boolean): Promise<number> => {
      if (source.bytes > partBytesFor(source.bytes, tuning)) {
        return uploadInParts(client, checksums, object, this.#place, source, metadata, tuning, options, ctx);
      }
      const put = new PutObjectCommand({
        ...object,
        // A buffer, not a stream: some servers refuse the chunked signing that streams need.
        Body: await readFile(source.path),
        ContentType: options.contentType,
        CacheControl: options.cacheControl,
        Metadata: metadata,
      });
      await client.send(put, { abortSignal: ctx.signal });
      options.onProgress?.(source.bytes);
      return 0;
    };
    return {
      how: "uploaded",
      resumedBytes: (await this.#told(key, "Upload failed", ctx, () => this.#write(ctx, send))) ?? 0,
    };
  }

  /** An upload is begun and given up, which takes the same rights as an archive's. */
  async probe(key: string, ctx: Context): Promise<void> {
    await this.#told(key, "Cannot write to the target", ctx, async () => {
      const begun = await this.#client.send(new CreateMultipartUploadCommand(this.#object(key)), {
        abortSignal: ctx.signal,
      });
      await this.#client.send(new AbortMultipartUploadCommand({ ...this.#object(key), UploadId: begun.UploadId }));
      return true;
    });
  }

  async getText(key: string, ctx: Context): Promise<StoredText | undefined> {
    return this.#told(key, "Cannot read the object", ctx, async () => {
      for (let attempt = 0; ; attempt++) {
        const got = await this.#client.send(new GetObjectCommand(this.#object(key)), { abortSignal: ctx.signal });
        try {
          return { text: (await got.Body?.transformToString("utf-8")) ?? "", tag: got.ETag ?? "" };
        } catch (error) {
          // The SDK tries a request again, but not an answer that breaks off on its way.
          if (attempt >= this.options.retries || ctx.signal.aborted) throw error;
        }
      }
    });
  }

  async putText(key: string, text: string, headers: Headers, condition: Condition, ctx: Context): Promise<PutOutcome> {
    const put = new PutObjectCommand({
      ...this.#object(key),
      Body: Buffer.from(text, "utf8"),
      ContentType: headers.contentType,
      CacheControl: headers.cacheControl,
      ...(condition !== "always" && "ifMatch" in condition && { IfMatch: condition.ifMatch }),
      ...(condition !== "always" && "ifNoneMatch" in condition && { IfNoneMatch: condition.ifNoneMatch }),
    });
    const outcome = await this.#told<PutOutcome>(key, "Cannot write the object", ctx, async () => {
      try {
        await this.#write(ctx, (client) => client.send(put, { abortSignal: ctx.signal }));
        return "written";
      } catch (error) {
        const status = httpStatus(error);
        if (condition === "always") throw error;
        // 409: another conditional write was under way; 404: the object went away under If-Match.
        if (status === 412 || status === 409 || awsCode(error) === "NoSuchKey") return "conflict";
        if (status === 501 || awsCode(error) === "NotImplemented") return "unsupported";
        throw error;
      }
    });
    return outcome ?? "conflict";
  }

  async exclusively<T>(key: string, ctx: Context, body: (stillHeld: () => boolean) => Promise<T>): Promise<T> {
    return withLockObject(
      this.#claims(`${key}.lock/`, ctx),
      `${this.name}/${key}.lock`,
      ctx,
      body,
      this.options.tuning.leaseMs,
    );
  }

  #claims(folder: string, ctx: Context): ClaimStore {
    const { Bucket, Key: Prefix } = this.#object(folder);
    const told = <T>(body: () => Promise<T>) => this.#told(folder, "Cannot use the lock object", ctx, body);
    return {
      put: async (token) => {
        const put = new PutObjectCommand({ Bucket, Key: Prefix + token, Body: Buffer.from(token) });
        await told(() => this.#write(ctx, (client) => client.send(put)));
      },
      // Without the signal: a lock is given back also when the run is being ended.
      remove: async (token) => {
        await told(() => this.#client.send(new DeleteObjectCommand({ Bucket, Key: Prefix + token })));
      },
      list: async () =>
        (await told(async () => {
          const claims = [];
          for await (const page of paginateListObjectsV2({ client: this.#client }, { Bucket, Prefix })) {
            for (const { Key = "", LastModified } of page.Contents ?? []) {
              claims.push({ token: Key.slice(Prefix.length), writtenMs: LastModified?.getTime() ?? 0 });
            }
          }
          return claims;
        })) ?? [],
    };
  }

  #object(key: string): { Bucket: string; Key: string } {
    const { bucket, prefix } = this.options;
    return { Bucket: bucket, Key: prefix === "" ? key : `${prefix}/${key}` };
  }

  /** By which the server is reached. */
  get #proxy(): string | undefined {
    const { endpoint, bucket, proxies } = this.options;
    return proxies.proxyFor(new URL(endpoint ?? `https://${bucket}.s3.amazonaws.com`))?.name;
  }

  /** Tells this bucket from one of the same name elsewhere. */
  get #place(): string {
    return `${this.options.endpoint ?? "aws"} ${this.options.bucket}`;
  }

  /** The body's answer, undefined where the server says that there is no such key, else an error that names the place. */
  async #told<T>(key: string, what: string, ctx: Context, body: () => Promise<T>): Promise<T | undefined> {
    try {
      return await body();
    } catch (error) {
      if (ctx.signal.aborted) throw ctx.signal.reason;
      // A HEAD answer has no body that would tell a missing bucket from a missing key: `getText` does.
      if (awsCode(error) === "NoSuchKey" || awsCode(error) === "NotFound") return undefined;
      const { bucket, endpoint, profile } = this.options;
      const where = { target: this.name, endpoint, proxy: this.#proxy, bucket, key: this.#object(key).Key, profile };
      throw asS3Error(error, what, where);
    }
  }
}
