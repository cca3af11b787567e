// A year on a machine whose only way out is a web proxy: every stage, by one command.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { GetObjectCommand } from "@aws-sdk/client-s3";
import { startFolderServer } from "../support/folder-server.mjs";
import { clientOf, credentialEnvironment, makeBucket } from "../support/s3.mjs";
import { makeWorld, newRoot, runYear } from "../support/sample-world.mjs";
import { startSwift, swiftMissing } from "../support/swift.mjs";
import { noTippecanoe } from "../support/tippecanoe.mjs";
import { proxyEnvironment, startWebProxy } from "../support/web-proxy.mjs";

test("raster and target have names that only the proxy knows", { skip: noTippecanoe || swiftMissing() }, async (t) => {
  const world = await makeWorld({ fields: 200, years: [2020], seed: 3 });
  t.after(() => world.remove());
  const rasters = await startFolderServer(world.source);
  t.after(() => rasters.close());
  const s3 = await startSwift();
  t.after(() => s3.stop());
  const client = clientOf(s3);
  await makeBucket(client, "tiles");
  const template = new URL(rasters.template);
  const hosts = { "cdl.test:80": template.host, "s3.test:80": new URL(s3.endpoint).host };
  const proxy = await startWebProxy({ hosts, user: "me:s3cr3t" });
  t.after(() => proxy.stop());

  const root = newRoot(world, "root");
  const env = { ...credentialEnvironment(s3.credentials), ...proxyEnvironment({ http_proxy: proxy.url }) };
  const source = rasters.template.replace(template.host, "cdl.test");
  const args = [
    "--max-zoom",
    "9",
    "--threads",
    "1",
    "--target",
    "s3://tiles",
    "--endpoint",
    "http://s3.test",
    "--json",
  ];
  const first = await runYear(root, 2020, source, args, { env });
  assert.equal(first.code, 0, first.stderr);
  const get = async (Key) => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: "tiles", Key }));
    return Buffer.from(await Body.transformToByteArray());
  };
  const archive = join(root, "outputs/tiles/fields_us_2020_full.pmtiles");
  assert.ok((await get("fields_us_2020_full.pmtiles")).equals(readFileSync(archive)));
  assert.deepEqual(JSON.parse(await get("us_full_years.json")).years, [2020]);
  const asked = (host) => proxy.requests.filter(({ target }) => target === `http://${host}`).length;
  assert.equal(asked("cdl.test"), 1);
  assert.ok(asked("s3.test") >= 4);
  const log = readFileSync(join(root, "logs/year_2020.log"), "utf8");
  assert.doesNotMatch(first.stdout + first.stderr + log, /s3cr3t|Basic /);

  const again = await runYear(root, 2020, source, args, { env });
  assert.equal(again.code, 0, again.stderr);
  assert.equal(asked("cdl.test"), 1, "the raster is not fetched again");
});
