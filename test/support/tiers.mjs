/**
 * What `npm run test:fast` leaves out: folders of tests, and tests that import one of these. They start whole years,
 * clusters, browsers, servers and services.
 */
export const FAST_EXCLUDES = [
  "batch/isolation.test.mjs",
  "batch/run.test.mjs",
  "batch/takeover.test.mjs",
  "bench/",
  "e2e/",
  "real/",
  "slurm/",
  "sample/truth.test.mjs",
  "tiles/slow-reader.test.mjs",
  "tiles/tippecanoe.test.mjs",
  "tiles/watchdog.test.mjs",
  "support/browser.mjs",
  "support/cluster-years.mjs",
  "support/moto.mjs",
  "support/published-year.mjs",
  "support/rasterio.mjs",
  "support/sample-world.mjs",
  "support/slurm.mjs",
  "support/swift.mjs",
  "support/tinyproxy.mjs",
  "support/viewer.mjs",
  "support/web-proxy.mjs",
];
