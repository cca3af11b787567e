// Archives as npm's pmtiles, another implementation, reads them.
import { open } from "node:fs/promises";
import { PMTiles } from "pmtiles";

class FileSource {
  constructor(path, handle) {
    this.path = path;
    this.handle = handle;
  }
  getKey() {
    return this.path;
  }
  async getBytes(offset, length) {
    const bytes = Buffer.alloc(length);
    const { bytesRead } = await this.handle.read(bytes, 0, length, offset);
    return { data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytesRead) };
  }
}

/** A PMTiles reader over a local file, closed after the test. */
export async function openPmtiles(t, path) {
  const handle = await open(path);
  t.after(() => handle.close());
  return new PMTiles(new FileSource(path, handle));
}
