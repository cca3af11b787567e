// A plain static server of a page that uses the module for MapLibre: its page, the libraries, and perhaps the data.
import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const CHECKOUT = fileURLToPath(new URL("../../", import.meta.url));
const MODULES = join(CHECKOUT, "node_modules");
const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".html": "text/html", ".css": "text/css" };
/** What CloudFront adds to a bucket's answers. */
export const CLOUDFRONT = {
  via: "1.1 0123456789abcdef.cloudfront.net (CloudFront)",
  "x-cache": "Hit from cloudfront",
  "x-amz-cf-pop": "FRA60-P4",
  age: "1234",
  vary: "Origin",
};

const PAGE = `<!doctype html>
<title>Crops</title>
<link rel="stylesheet" href="/modules/maplibre-gl/dist/maplibre-gl.css">
<style>html, body, #map { margin: 0; height: 100% }</style>
<script type="importmap">{"imports": {
  "maplibre-gl": "/modules/maplibre-gl/dist/maplibre-gl.mjs",
  "pmtiles": "/modules/pmtiles/dist/esm/index.js",
  "fflate": "/modules/fflate/esm/browser.js",
  "fields-pipeline/maplibre": "/dist/maplibre/index.js"
}}</script>
<div id="map"></div>
<script type="module">
  import * as maplibregl from "maplibre-gl";
  import { Protocol } from "pmtiles";
  import { addCropColumns } from "fields-pipeline/maplibre";
  const parameters = new URLSearchParams(location.search);
  maplibregl.setWorkerUrl(new URL("/modules/maplibre-gl/dist/maplibre-gl-worker.mjs", location.href).href);
  window.errors = [];
  const map = new maplibregl.Map({
    container: "map",
    style: { version: 8, sources: {}, layers: [{ id: "ground", type: "background", paint: { "background-color": "#ffffff" } }] },
    center: parameters.get("center").split(",").map(Number),
    zoom: Number(parameters.get("zoom")),
    fadeDuration: 0,
    attributionControl: false,
  });
  map.on("error", ({ error }) => window.errors.push(error.message));
  window.map = map;
  const loaded = map.once("load");
  try {
    const crops = await addCropColumns(maplibregl, parameters.get("manifest"));
    // For comparison: a year as an archive of its own, by pmtiles' protocol.
    const archives = parameters.get("as") === "archives";
    const layer = parameters.get("as") === "layer" && crops.layer("fields", { color: (value) => (value === 2 ? "#ff0000" : "#0000ff") });
    if (archives) maplibregl.addProtocol("pmtiles", new Protocol().tile);
    const archive = (year) => "pmtiles://" + new URL("fields_us_" + year + "_full.pmtiles", new URL(parameters.get("manifest"), location.href)).href;
    window.show = async (year) => {
      if (layer) return void (await layer.show({ kind: "year", year }));
      const source = map.getSource("fields");
      if (archives) source.setUrl(archive(year));
      else source.setTiles(crops.source(year).tiles);
      await map.once("idle");
    };
    await loaded;
    const first = Number(parameters.get("year"));
    window.crops = crops;
    if (layer) {
      map.addLayer(layer);
      window.layer = layer;
      await window.show(first);
    } else {
    map.addSource("fields", archives ? { type: "vector", url: archive(first) } : crops.source(first));
    // As any style is written for an archive: a filter, a layer, an expression.
    map.addLayer({ id: "corn", type: "fill", source: "fields", "source-layer": "fields",
      filter: ["==", ["get", "crop_code"], 1], paint: { "fill-color": "#ff0000", "fill-antialias": false } });
    map.addLayer({ id: "others", type: "fill", source: "fields", "source-layer": "fields",
      filter: ["all", ["has", "crop_code"], ["!=", ["get", "crop_code"], 1]],
      paint: { "fill-color": "#0000ff", "fill-antialias": false } });
    }
  } catch (error) {
    window.errors.push(error.message);
  }
  window.ready = true;
</script>`;

/**
 * @param folder   data under /data/, answered with ranges.
 * @param headers  more headers of the data.
 * @returns {url, requests: [{name, range, status, bytes}], close()}
 */
export async function startModuleServer(folder, headers = {}) {
  const requests = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    if (pathname === "/") return response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
    if (pathname === "/favicon.ico") return response.writeHead(204).end();
    const [, top, ...rest] = pathname.split("/");
    const root = { modules: MODULES, dist: join(CHECKOUT, "dist"), data: folder }[top];
    const path = root && join(root, ...rest.map(decodeURIComponent));
    if (path === undefined || !existsSync(path) || !statSync(path).isFile())
      return response.writeHead(404).end("not here");
    const type = TYPES[extname(path)] ?? "application/octet-stream";
    if (top !== "data") return response.writeHead(200, { "content-type": type }).end(readFileSync(path));
    const { size, mtimeMs } = statSync(path);
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    const [start, end] = match ? [Number(match[1]), Math.min(size, Number(match[2]) + 1)] : [0, size];
    const status = match ? 206 : 200;
    requests.push({ name: rest.at(-1), range: request.headers.range, status, bytes: end - start });
    response.writeHead(status, {
      "content-type": type,
      "content-length": end - start,
      "accept-ranges": "bytes",
      etag: `"${size}-${mtimeMs}"`,
      ...(match && { "content-range": `bytes ${start}-${end - 1}/${size}` }),
      ...headers,
    });
    createReadStream(path, { start, end: end - 1 }).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${server.address().port}/`, requests, close };
}
