import { S3Client } from "@aws-sdk/client-s3";
import { type AwsAccess, awsClientConfig } from "./aws-client.js";

const DEFAULT_REGION = "us-east-1";

/** The region as given, else as the AWS configuration has it, else the default: other servers seldom care. */
export async function regionOf(options: AwsAccess & { readonly region: string | undefined }): Promise<string> {
  if (options.region !== undefined) return options.region;
  try {
    return await new S3Client(awsClientConfig(options)).config.region();
  } catch {
    return DEFAULT_REGION;
  }
}
