// A short run of every lane of the campaign; the long one is npm run test:faults (docs/reliability.md).
import { after, before, describe, test } from "node:test";
import { noDiskFaults } from "../support/disk-faults.mjs";
import { notElsewhere } from "../support/elsewhere.mjs";
import { disk, kills, mutants, openGround, stops, swaps, together } from "./lanes.mjs";
import { ranges } from "./load-lanes.mjs";

describe("campaign of faults, a minute of it", () => {
  let ground;
  before(async () => {
    ground = await openGround();
  });
  after(() => ground?.close());

  test("kills", async (t) => t.diagnostic(JSON.stringify(await kills(ground, 4, 1, ["zonal", "base"]))));
  test("inputs that change while they are read", async (t) =>
    t.diagnostic(JSON.stringify(await swaps(ground, 8, 2, ["zonal", "tiles"]))));
  test("stopped, taken over and woken", { skip: notElsewhere }, async (t) =>
    t.diagnostic(JSON.stringify(await stops(ground.world.folder, 2))),
  );
  test("one file by several at once", async (t) =>
    t.diagnostic(JSON.stringify(await together(ground, 3, ["prepare"]))));
  test("a disk that fails", { skip: noDiskFaults }, async (t) =>
    t.diagnostic(JSON.stringify(await disk(ground, 6, 1, ["zonal", "history"]))),
  );
  test("ranges while an archive is replaced", async (t) => t.diagnostic(JSON.stringify(await ranges(ground, 500, 8))));
  test("files with wrong bytes", async (t) => t.diagnostic(JSON.stringify(await mutants(ground, 100))));
});
