/** The worker of `fields-pipeline/maplibre`: reads columns and puts codes into tiles. */
import { ColumnTiles } from "./column-tiles.js";
import type { FromWorker, ToWorker, Wanted } from "./messages.js";
import { buffersOf, meshOf, TOLERANCE } from "./tile-mesh.js";

const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
};
const bases = new Map<string, ColumnTiles>();
/** Requests that wait for their base tile. */
const waiting = new Map<number, (tile: Uint8Array | undefined, error?: string) => void>();

scope.onmessage = ({ data }) => {
  if (data.kind === "base") {
    waiting.get(data.request)?.(data.tile, data.error);
    waiting.delete(data.request);
    return;
  }
  const { request, blocks, fingerprint } = data;
  const key = `${blocks} ${fingerprint ?? ""}`;
  const tiles = bases.get(key) ?? new ColumnTiles(blocks, fingerprint);
  bases.set(key, tiles);
  const base = () =>
    new Promise<Uint8Array | undefined>((resolve, reject) => {
      waiting.set(request, (tile, error) => (error === undefined ? resolve(tile) : reject(new Error(error))));
      scope.postMessage({ kind: "wants base", request });
    });
  wanted(tiles, data, base).then(
    (result) => {
      waiting.delete(request);
      scope.postMessage({ kind: "done", request, result }, transferable(result));
    },
    (error: unknown) => {
      waiting.delete(request);
      scope.postMessage({ kind: "failed", request, message: error instanceof Error ? error.message : String(error) });
    },
  );
};

async function wanted(
  tiles: ColumnTiles,
  { want, column, attribute, ...at }: Extract<ToWorker, { kind: "want" }>,
  base: () => Promise<Uint8Array | undefined>,
): Promise<Wanted> {
  if (want === "codes" && column !== undefined) return tiles.codes(at, column, base);
  if (want === "tile" && column !== undefined) return tiles.tile(at, column, attribute, base);
  const features = await tiles.features(at, base);
  if (features === undefined) return undefined;
  // The tile stays here for other years.
  return want === "mesh" ? meshOf(features.tile, at.z < features.maxZoom ? TOLERANCE : 0) : features.tile.bytes.slice();
}

function transferable(result: Wanted): Transferable[] {
  if (result === undefined) return [];
  return ArrayBuffer.isView(result) ? [result.buffer as ArrayBuffer] : buffersOf(result);
}
