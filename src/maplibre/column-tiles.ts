import {
  type BlocksIndex,
  blocksOfTile,
  type ColumnIndex,
  readBlocksIndex,
  readColumnIndex,
  readIds,
  readPlaces,
} from "../columns/column-file.js";
import { putCodes, readTile, type TileFeatures } from "../columns/put-codes.js";
import { RangeFile } from "./range-file.js";

/** Bytes of base tiles that are kept with what was found out of them. */
const KEPT_BYTES = 192 * 2 ** 20;
/** Years whose codes are kept. */
const KEPT_YEARS = 40;

export interface TileAddress {
  readonly z: number;
  readonly x: number;
  readonly y: number;
}

/** A base tile, and where its features' codes stand in every column of the base. */
interface PlacedTile {
  readonly features: TileFeatures;
  /** Blocks that have a feature of the tile. */
  readonly blocks: readonly number[];
  /** By feature, its block's place in `blocks`, and its own in the block. */
  readonly blockOf: Uint16Array;
  readonly placeIn: Uint32Array;
}

/** Vector tiles of a base with a year's codes put in. */
export class ColumnTiles {
  readonly #columns = new Map<string, Promise<RangeFile<ColumnIndex>>>();
  readonly #tiles = new Map<string, Promise<PlacedTile | undefined>>();
  readonly #ids = new Map<number, Uint32Array>();
  #blocks: Promise<RangeFile<BlocksIndex>> | undefined;
  #kept = 0;

  /**
   * @param blocksUrl    blocks of the base.
   * @param fingerprint  that the base and its columns must have; undefined takes the blocks' own.
   */
  constructor(
    private readonly blocksUrl: string,
    private readonly fingerprint?: string,
  ) {}

  /**
   * @param columnUrl  the year's codes.
   * @param key        attribute that features get.
   * @param base       fetches the base tile, inflated; undefined where the base has none. Called where it is not kept.
   * @returns undefined where the base has no tile.
   * @throws {Error} that names the URL: a file cannot be read, is damaged, or is of another base.
   */
  async tile(
    at: TileAddress,
    columnUrl: string,
    key: string,
    base: () => Promise<Uint8Array | undefined>,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const found = await this.#placesOf(at, columnUrl, base);
    return found && putCodes(found.features, key, found.column.codes, found.places);
  }

  /**
   * Codes of a tile's features, in their order: 1 + the code, 0 for no crop. Parameters and errors as above.
   *
   * @throws {Error} also if a code is not a whole number from 0 to 65,534.
   */
  async codes(
    at: TileAddress,
    columnUrl: string,
    base: () => Promise<Uint8Array | undefined>,
  ): Promise<Uint16Array | undefined> {
    const found = await this.#placesOf(at, columnUrl, base);
    if (found === undefined) return undefined;
    const values = Uint16Array.from([0, ...found.column.codes.map((code) => code + 1)]);
    const wrong = found.column.codes.find((code, i) => values[i + 1] !== code + 1);
    if (wrong !== undefined) throw new Error(`${columnUrl}: code ${wrong} is not a whole number from 0 to 65534`);
    return found.places.map((place) => values[place] as number);
  }

  /** A base tile, and the base's highest zoom; undefined where there is no tile. */
  async features(
    { z, x, y }: TileAddress,
    base: () => Promise<Uint8Array | undefined>,
  ): Promise<{ readonly tile: TileFeatures; readonly maxZoom: number } | undefined> {
    const blocks = await this.#openBlocks();
    const placed = await this.#placed({ z, x, y }, blocks, candidatesIn(blocks.index, { z, x, y }), base);
    return placed && { tile: placed.features, maxZoom: blocks.index.maxZoom };
  }

  async #placesOf(at: TileAddress, columnUrl: string, base: () => Promise<Uint8Array | undefined>) {
    const [blocks, column] = await Promise.all([this.#openBlocks(), this.#openColumn(columnUrl)]);
    const candidates = candidatesIn(blocks.index, at);
    // Before the tile is there: codes and ids travel while it does.
    if (!this.#tiles.has(keyOf(at))) for (const block of candidates) column.block(block).catch(() => {});
    const tile = await this.#placed(at, blocks, candidates, base);
    if (tile === undefined) return undefined;
    const { features, blockOf, placeIn } = tile;
    const contents = await Promise.all(
      tile.blocks.map(async (block) =>
        readPlaces(await column.block(block), blocks.index.sizes[block] as number, column.index),
      ),
    );
    const places = new Uint16Array(features.ids.length);
    for (let f = 0; f < places.length; f++) {
      places[f] = (contents[blockOf[f] as number] as Uint8Array)[placeIn[f] as number] as number;
    }
    return { features, places, column: column.index };
  }

  #placed(
    at: TileAddress,
    blocks: RangeFile<BlocksIndex>,
    candidates: readonly number[],
    base: () => Promise<Uint8Array | undefined>,
  ): Promise<PlacedTile | undefined> {
    const place = () => this.#place(at, blocks, candidates, base);
    // Who asked for the tile before may have given up since, and its request with it.
    return this.#tiles.get(keyOf(at))?.catch(place) ?? place();
  }

  #openBlocks(): Promise<RangeFile<BlocksIndex>> {
    this.#blocks ??= RangeFile.open(this.blocksUrl, "blocks", readBlocksIndex).then((file) => {
      requireBase(file, this.fingerprint);
      return file;
    });
    this.#blocks.catch(() => {
      this.#blocks = undefined;
    });
    return this.#blocks;
  }

  #openColumn(url: string): Promise<RangeFile<ColumnIndex>> {
    let column = this.#columns.get(url);
    if (column !== undefined) return column;
    column = this.#openBlocks().then(async (blocks) => {
      const file = await RangeFile.open(url, "column", readColumnIndex);
      requireBase(file, blocks.prelude.fingerprint);
      if (file.index.count !== blocks.index.count) {
        throw new Error(`${url} has ${file.index.count} blocks, its base ${blocks.index.count}`);
      }
      return file;
    });
    this.#columns.set(url, column);
    column.catch(() => this.#columns.delete(url));
    const oldest = this.#columns.keys().next().value;
    if (this.#columns.size > KEPT_YEARS && oldest !== undefined) this.#columns.delete(oldest);
    return column;
  }

  #place(
    at: TileAddress,
    blocks: RangeFile<BlocksIndex>,
    candidates: readonly number[],
    base: () => Promise<Uint8Array | undefined>,
  ): Promise<PlacedTile | undefined> {
    const key = keyOf(at);
    const made = (async () => {
      const [bytes, ids] = await Promise.all([
        base(),
        Promise.all(candidates.map((block) => this.#idsOf(block, blocks))),
      ]);
      if (bytes === undefined || bytes.length === 0) return undefined;
      const tile = placeFeatures(readTile(bytes), candidates, ids, `${this.blocksUrl}, tile ${key}`);
      this.#kept += bytes.length;
      return tile;
    })();
    this.#tiles.set(key, made);
    made.then(
      () => this.#forgetOldest(key),
      () => {
        if (this.#tiles.get(key) === made) this.#tiles.delete(key);
      },
    );
    return made;
  }

  async #idsOf(block: number, blocks: RangeFile<BlocksIndex>): Promise<Uint32Array> {
    const known = this.#ids.get(block);
    if (known !== undefined) return known;
    const { sizes, rows } = blocks.index;
    const ids = readIds(await blocks.block(block), sizes[block] as number, rows);
    this.#ids.set(block, ids);
    return ids;
  }

  #forgetOldest(newest: string): void {
    for (const [key, tile] of this.#tiles) {
      if (this.#kept <= KEPT_BYTES || key === newest) return;
      this.#tiles.delete(key);
      tile.then(
        (old) => {
          this.#kept -= old?.features.bytes.length ?? 0;
        },
        () => {},
      );
    }
  }
}

function keyOf({ z, x, y }: TileAddress): string {
  return `${z}/${x}/${y}`;
}

function candidatesIn(index: BlocksIndex, { z, x, y }: TileAddress): readonly number[] {
  return z < index.minZoom || z > index.maxZoom ? [] : blocksOfTile(index, z, x, y);
}

function requireBase(
  { url, prelude }: { readonly url: string; readonly prelude: { readonly fingerprint: string } },
  expected: string | undefined,
): void {
  if (expected === undefined || prelude.fingerprint === expected) return;
  const [wanted, received] = [expected, prelude.fingerprint].map((print) => print.slice(0, 12));
  throw new Error(`${url} is of another base: fingerprint ${received}, expected ${wanted}`);
}

/** Find each feature among the ids of the blocks, by a table of open addresses. */
function placeFeatures(
  features: TileFeatures,
  candidates: readonly number[],
  ids: readonly Uint32Array[],
  where: string,
): PlacedTile {
  const total = ids.reduce((sum, { length }) => sum + length, 0);
  const bits = Math.max(4, Math.ceil(Math.log2(2 * total + 1)));
  const mask = 2 ** bits - 1;
  const slots = new Uint32Array(mask + 1);
  const starts: number[] = [];
  const all = new Uint32Array(total);
  let at = 0;
  for (const list of ids) {
    starts.push(at);
    all.set(list, at);
    at += list.length;
  }
  const slotOf = (id: number) => Math.imul(id, 0x9e3779b1) >>> (32 - bits);
  for (let i = 0; i < total; i++) {
    let slot = slotOf(all[i] as number);
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = i + 1;
  }
  const blockOfPlace = new Uint16Array(total);
  ids.forEach((list, b) => {
    blockOfPlace.fill(b, starts[b], (starts[b] as number) + list.length);
  });
  const count = features.ids.length;
  const [blockOf, placeIn] = [new Uint16Array(count), new Uint32Array(count)];
  for (let f = 0; f < count; f++) {
    const id = features.ids[f] as number;
    let slot = slotOf(id);
    while (slots[slot] !== 0 && all[(slots[slot] as number) - 1] !== id) slot = (slot + 1) & mask;
    const found = slots[slot] as number;
    if (found === 0) throw new Error(`${where}: no block has field ${id}`);
    const block = blockOfPlace[found - 1] as number;
    blockOf[f] = block;
    placeIn[f] = found - 1 - (starts[block] as number);
  }
  // Blocks without a feature here need not be read for other years.
  const used = new Uint8Array(candidates.length);
  for (const block of blockOf) used[block] = 1;
  const numbers = new Uint16Array(candidates.length);
  const blocks = candidates.filter((_, b) => used[b] === 1);
  let number = 0;
  used.forEach((is, b) => {
    numbers[b] = is === 1 ? number++ : 0;
  });
  for (let f = 0; f < count; f++) blockOf[f] = numbers[blockOf[f] as number] as number;
  return { features, blocks, blockOf, placeIn };
}
