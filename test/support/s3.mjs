import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";

// As the program does: the SDK's notice about next year's Node is noise in a test's output.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";

/** A client of our own for `server`, to look at what the code under test did. */
export function clientOf(server) {
  const { endpoint, credentials } = server;
  return new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
}

export async function makeBucket(client, name) {
  await client.send(new CreateBucketCommand({ Bucket: name }));
}

/** Environment in which the SDK finds these credentials and none of this machine's own. */
export function credentialEnvironment(credentials) {
  return {
    AWS_ACCESS_KEY_ID: credentials?.accessKeyId ?? "",
    AWS_SECRET_ACCESS_KEY: credentials?.secretAccessKey ?? "",
    AWS_CONFIG_FILE: "/nonexistent",
    AWS_SHARED_CREDENTIALS_FILE: "/nonexistent",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_REGION: "us-east-1",
  };
}
