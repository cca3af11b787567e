import { type Fetch, fetchBy } from "./fetch.js";
import type { RemoteAccess } from "./remote-access.js";
import { isS3 } from "./remote-url.js";

/** `fetch` of http(s):// and s3:// URLs; what S3 needs is loaded with the first of these. */
export function fetchFrom(access: RemoteAccess): Fetch {
  const web = fetchBy(access.proxies);
  let loading: Promise<Fetch> | undefined;
  return async (input, init) => {
    if (!isS3(String(input))) return web(input, init);
    loading ??= import("./s3-fetch.js").then(({ s3Fetch }) => s3Fetch(access));
    const bucket = await loading;
    return bucket(input, init);
  };
}
