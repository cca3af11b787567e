/**
 * A server that says what S3 says to an upload and keeps nothing, so that the
 * sender is what is timed: node dist-bench/s3-sink.js. Prints its port.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const server = createServer((request, response) => {
  const { searchParams } = new URL(request.url ?? "/", "http://sink");
  request.resume().on("end", () => {
    response.setHeader("ETag", '"0"');
    if (request.method === "POST" && searchParams.has("uploads")) {
      response.end("<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>");
    } else if (request.method === "POST") {
      response.end('<CompleteMultipartUploadResult><ETag>"0"</ETag></CompleteMultipartUploadResult>');
    } else if (request.method === "GET") {
      response.end("<ListMultipartUploadsResult></ListMultipartUploadsResult>");
    } else {
      response.end();
    }
  });
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
