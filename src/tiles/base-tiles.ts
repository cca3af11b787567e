import { Archive } from "../archive/reader.js";
import { tileName } from "../archive/tile-id.js";
import { nativeKernel } from "../kernel/native.js";
import { PipelineError } from "../pipeline/errors.js";
import { recordPlan } from "./record-plan.js";

/** Reads the tiles of a base, without crops, from its records, one at a time. */
export class BaseTiles {
  readonly archive: Archive;

  /** @param rows  feature ids are less than this. */
  constructor(
    readonly path: string,
    private readonly rows: number,
  ) {
    this.archive = new Archive(path);
  }

  /**
   * An uncompressed tile, by its position in the directory.
   *
   * @throws {PipelineError} input, naming the tile, when its record is damaged.
   */
  readTile(entry: number): Uint8Array {
    return this.#plain(this.archive.readContent(entry), entry);
  }

  /** The same, for tiles that are read in sequence. */
  tile(entry: number): Uint8Array {
    return this.#plain(this.archive.storedTile(entry), entry);
  }

  get entries() {
    return this.archive.entries;
  }

  #plain(record: Uint8Array, entry: number): Uint8Array {
    const plan = { ...recordPlan(this.rows), level: 0 };
    try {
      return nativeKernel().baseTiles(record, Uint32Array.of(record.length), plan).content;
    } catch (cause) {
      const tile = tileName(this.archive.entries.tileId(entry));
      throw new PipelineError("input", "Base tile cannot be read", { path: this.path, tile }, { cause });
    }
  }

  close(): void {
    this.archive.close();
  }
}
