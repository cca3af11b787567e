import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { CloudFrontClient, CreateInvalidationCommand, GetInvalidationCommand } from "@aws-sdk/client-cloudfront";
import { type AwsAccess, awsClientConfig } from "../network/aws-client.js";
import type { Context } from "../pipeline/context.js";
import { PipelineError } from "../pipeline/errors.js";

/** CloudFront is one service for the world, signed for this region. */
const CLOUDFRONT_REGION = "us-east-1";
/** CloudFront takes minutes as a rule; its own waiter gives up after as long. */
const WAIT_MS = 10 * 60_000;
const POLL_MS = 10_000;

/**
 * Have CloudFront forget its copies of these paths. The SDK's own settings
 * (`AWS_ENDPOINT_URL_CLOUDFRONT`) point it at another server.
 *
 * @param paths  as viewers ask for them: `/prefix/name`, percent-encoded.
 * @returns the invalidation's id; it takes effect within minutes.
 * @throws the SDK's error.
 */
export async function invalidate(
  distribution: string,
  paths: readonly string[],
  access: AwsAccess,
  ctx: Context,
): Promise<string> {
  const answer = await clientOf(access).send(
    new CreateInvalidationCommand({
      DistributionId: distribution,
      InvalidationBatch: {
        // New each time: with an old reference CloudFront would answer with the old invalidation and do nothing.
        CallerReference: randomUUID(),
        Paths: { Quantity: paths.length, Items: [...paths] },
      },
    }),
    { abortSignal: ctx.signal },
  );
  return answer.Invalidation?.Id ?? "";
}

/**
 * Wait until an invalidation has reached all of CloudFront.
 *
 * @throws {PipelineError} publish, when it is not done after ten minutes; or the SDK's error.
 */
export async function invalidationDone(
  distribution: string,
  id: string,
  access: AwsAccess,
  ctx: Context,
): Promise<void> {
  const client = clientOf(access);
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const answer = await client.send(new GetInvalidationCommand({ DistributionId: distribution, Id: id }), {
      abortSignal: ctx.signal,
    });
    const status = answer.Invalidation?.Status ?? "";
    if (status.toLowerCase() === "completed") return;
    if (performance.now() > deadline) {
      throw new PipelineError("publish", "CloudFront did not finish the invalidation in time", {
        distribution,
        id,
        status,
      });
    }
    await sleep(POLL_MS, undefined, { signal: ctx.signal });
  }
}

function clientOf(access: AwsAccess): CloudFrontClient {
  return new CloudFrontClient({ ...awsClientConfig(access), region: CLOUDFRONT_REGION });
}

/** The paths under which a distribution serves `keys`: below the public URL where there is one. */
export function invalidationPaths(
  keys: readonly string[],
  publicUrl: string | undefined,
  urlPath: (key: string) => string,
): string[] {
  const base =
    publicUrl !== undefined && URL.canParse(publicUrl) ? new URL(publicUrl).pathname.replace(/\/+$/, "") : undefined;
  return keys.map((key) => encodeURI(base === undefined ? urlPath(key) : `${base}/${key}`));
}
