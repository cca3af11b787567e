import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, realpath } from "node:fs/promises";
import { basename, join, sep } from "node:path";
import { asPipelineError, PipelineError } from "../../pipeline/errors.js";
import type { ArchiveEntry } from "../../publish/manifest.js";
import { MAX_TEXT_BYTES, type Store, type StoredArchive } from "./store.js";

/** A folder that the `file:` target fills. Nothing outside it is read, not even through links. */
export class FolderStore implements Store {
  readonly name: string;

  constructor(private readonly folder: string) {
    this.name = folder;
  }

  async text(key: string): Promise<string | undefined> {
    const file = await this.#open(key);
    if (file === undefined) return undefined;
    try {
      const { size } = await file.stat();
      if (size > MAX_TEXT_BYTES) {
        const where = { path: join(this.folder, key), expected: `at most ${MAX_TEXT_BYTES} bytes`, received: size };
        throw new PipelineError("input", "The file is too large to be what its name says", where);
      }
      return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  }

  /** By its key: the entry's URL may be a public URL, but the file is here. */
  async open({ key }: Pick<ArchiveEntry, "key">): Promise<StoredArchive> {
    const file = await this.#open(key);
    if (file === undefined) {
      throw new PipelineError("input", "The archive is not in the folder", { path: join(this.folder, key) });
    }
    const { size, ino, mtimeNs } = await file.stat({ bigint: true });
    return {
      bytes: Number(size),
      // Files are replaced by rename, never written in place: new content has a new inode or time.
      tag: createHash("sha256").update(`${size} ${ino} ${mtimeNs}`).digest("hex").slice(0, 20),
      read: (start, end) => file.createReadStream({ start, end: end - 1, autoClose: false }),
      close: () => file.close(),
    };
  }

  /** @returns undefined if the file does not exist. */
  async #open(key: string): Promise<FileHandle | undefined> {
    if (key !== basename(key) || /^\.{1,2}$|[\0\\]/.test(key) || key === "") {
      throw new PipelineError("input", "Not the name of a file in the folder", {
        folder: this.folder,
        received: JSON.stringify(key),
      });
    }
    const path = join(this.folder, key);
    try {
      const [root, real] = await Promise.all([realpath(this.folder), realpath(path)]);
      if (!real.startsWith(root.endsWith(sep) ? root : root + sep)) {
        throw new PipelineError("input", "The file is a link to outside of the folder and is not served", { path });
      }
      // Opening a pipe would block until it has a writer.
      const file = await open(real, constants.O_RDONLY | constants.O_NONBLOCK);
      if ((await file.stat()).isFile()) return file;
      await file.close();
      throw new PipelineError("input", "Not a file", { path });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw asPipelineError(error, "input", "Cannot read in the folder", { path });
    }
  }
}
