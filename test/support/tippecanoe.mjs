// The real tippecanoe and its decoder, run by themselves, as judges of what the project makes of them.
import { execFileSync, spawnSync } from "node:child_process";

/** Why tests of tippecanoe cannot run here; false when they can. */
export const noTippecanoe =
  spawnSync("tippecanoe", ["--version"]).status === 0
    ? false
    : "tippecanoe is not installed (containers/install-tippecanoe.sh)";

/** One tile as tippecanoe-decode sees it: {layer: [features]}. */
export function decodeTile(path, z, x, y) {
  const output = execFileSync("tippecanoe-decode", [path, z, x, y].map(String), { maxBuffer: 2 ** 28 });
  const { features } = JSON.parse(output);
  return Object.fromEntries(features.map((layer) => [layer.properties.layer, layer.features]));
}

/** All features of one zoom: {layer: Map of id → properties}, first seen wins. */
export function decodeZoom(path, zoom) {
  const output = execFileSync("tippecanoe-decode", ["-z", zoom, "-Z", zoom, path].map(String), { maxBuffer: 2 ** 29 });
  const layers = {};
  for (const tile of JSON.parse(output).features) {
    for (const { properties, features } of tile.features) {
      layers[properties.layer] ??= new Map();
      const layer = layers[properties.layer];
      for (const feature of features) if (!layer.has(feature.id)) layer.set(feature.id, feature.properties);
    }
  }
  return layers;
}

/** Run tippecanoe by hand: {status, signal, stderr}; `nofile` is its soft limit of open files. */
export function tippecanoe(args, { input, env = {}, nofile }) {
  const line = nofile === undefined ? 'exec "$@"' : `ulimit -Sn ${nofile} && exec "$@"`;
  const { status, signal, stderr } = spawnSync("sh", ["-c", line, "sh", "tippecanoe", ...args.map(String)], {
    input,
    env: { ...process.env, ...env },
    maxBuffer: 2 ** 26,
  });
  return { status, signal, stderr: stderr.toString() };
}
