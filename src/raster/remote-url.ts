/** Whether a raster lies at a URL. */
export function isRemote(path: string): boolean {
  return /^(https?|s3):\/\//i.test(path);
}
