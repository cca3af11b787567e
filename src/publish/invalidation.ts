import { randomUUID } from "node:crypto";
import { CloudFrontClient, CreateInvalidationCommand } from "@aws-sdk/client-cloudfront";
import type { Context } from "../pipeline/context.js";
import { type AwsAccess, awsClientConfig } from "./aws-client.js";

/** CloudFront is one service for the world, signed for this region. */
const CLOUDFRONT_REGION = "us-east-1";

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
  const client = new CloudFrontClient({
    ...awsClientConfig(access),
    region: CLOUDFRONT_REGION,
  });
  const answer = await client.send(
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
