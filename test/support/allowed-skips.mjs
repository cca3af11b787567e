/**
 * Tests that a machine of continuous integration may skip, by the reason that they give; any other skip fails the run.
 * Such a machine has what containers/setup.sh installs, tippecanoe and rasterio among it.
 */
export const ALLOWED_SKIPS = [
  { reason: /real data/, why: "real rasters and fields are not part of the repository" },
  { reason: /slurm|munge/i, why: "no cluster" },
  { reason: /apptainer|singularity|bwrap|namespaces/i, why: "no container runtime, no right to make namespaces" },
  { reason: /mount|root|another user/i, why: "no right to mount or to act as another user; or only root could tell" },
  { reason: /chromium|browser|playwright/i, why: "no browser" },
  { reason: /moto|tinyproxy|swift/i, why: "a service that only runs where its packages can be fetched" },
  { reason: /strace/, why: "not installed, or no right to trace" },
  { reason: /pyarrow/, why: "libraries of Python's own registry, which not every machine reaches" },
  { reason: /PyTorch/, why: "a large package that training alone needs" },
  { reason: /shellcheck/, why: "a linter of its own" },
  { reason: /no PMTiles driver/, why: "GDAL before 3.8 has none" },
  { reason: /NAD27/, why: "PROJ has a grid here that the published numbers were made without" },
];
