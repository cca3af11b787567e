import { crc32, deflateRawSync } from "node:zlib";

/**
 * A zip byte by byte, for what honest zip writers refuse to write. Every entry:
 * `name`, `data`, and at will `mode` (Unix), `flags`, `method`, `crc`, `size`
 * (as the directory tells them), `packed` (the bytes that really lie there).
 */
export function handmadeZip(entries) {
  const locals = [];
  const directory = [];
  let offset = 0;
  for (const entry of entries) {
    const data = Buffer.from(entry.data ?? "");
    const name = Buffer.from(entry.name, "utf8");
    const packed = entry.packed ?? deflateRawSync(data);
    const about = Buffer.alloc(26);
    about.writeUInt16LE(20, 0); // version needed
    about.writeUInt16LE(0x800 | (entry.flags ?? 0), 2); // names in UTF-8
    about.writeUInt16LE(entry.method ?? 8, 4);
    about.writeUInt32LE(entry.crc ?? crc32(data), 10);
    about.writeUInt32LE(packed.length, 14);
    about.writeUInt32LE(entry.size ?? data.length, 18);
    about.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), about, name, packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(((entry.mode ?? 0o100644) << 16) >>> 0, 6);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.from([20, 3]), about, rest, name]));
    locals.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...locals, central, Buffer.from("PK\x05\x06"), end]);
}
