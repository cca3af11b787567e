/** The worker of `fields-pipeline/maplibre`: reads columns and puts codes into tiles. */
import { ColumnTiles } from "./column-tiles.js";
import type { FromWorker, ToWorker } from "./messages.js";

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
  const { request, blocks, fingerprint, column, attribute } = data;
  const key = `${blocks} ${fingerprint ?? ""}`;
  const tiles = bases.get(key) ?? new ColumnTiles(blocks, fingerprint);
  bases.set(key, tiles);
  const base = () =>
    new Promise<Uint8Array | undefined>((resolve, reject) => {
      waiting.set(request, (tile, error) => (error === undefined ? resolve(tile) : reject(new Error(error))));
      scope.postMessage({ kind: "wants base", request });
    });
  tiles.tile(data, column, attribute, base).then(
    (tile) => {
      waiting.delete(request);
      scope.postMessage({ kind: "tile", request, tile }, tile === undefined ? [] : [tile.buffer]);
    },
    (error: unknown) => {
      waiting.delete(request);
      scope.postMessage({ kind: "failed", request, message: error instanceof Error ? error.message : String(error) });
    },
  );
};
