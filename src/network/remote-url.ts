export function isS3(url: string): boolean {
  return /^s3:/i.test(url);
}

/** Whether a path is an http(s):// or s3:// URL. */
export function isRemote(path: string): boolean {
  return /^(https?|s3):\/\//i.test(path);
}
