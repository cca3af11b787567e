// WKB of polygons in every dialect: byte order, ISO or EWKB type codes, Z, M, SRID.

/**
 * A polygon ([ring, ...]) or multipolygon ([[ring, ...], ...]); a ring is [[x, y], ...].
 *
 * dialect: { big: big endian, iso: 1000s instead of flag bits, z, m: extra coordinates, srid }
 */
export function writeWkb(geometry, dialect = {}) {
  const out = new Writer(dialect);
  const multi = Array.isArray(geometry[0]?.[0]?.[0]);
  if (!multi) {
    out.polygon(geometry, dialect.srid);
  } else {
    out.head(6, dialect.srid);
    out.uint32(geometry.length);
    for (const part of geometry) out.polygon(part);
  }
  return out.bytes();
}

class Writer {
  #pieces = [];

  constructor({ big = false, iso = false, z = false, m = false }) {
    this.little = !big;
    this.code = iso ? (z ? 1000 : 0) + (m ? 2000 : 0) : 0;
    this.flags = iso ? 0 : (z ? 0x80000000 : 0) + (m ? 0x40000000 : 0);
    this.extra = (z ? 1 : 0) + (m ? 1 : 0);
  }

  head(type, srid) {
    this.#pieces.push(Buffer.from([this.little ? 1 : 0]));
    this.uint32(type + this.code + this.flags + (srid === undefined ? 0 : 0x20000000));
    if (srid !== undefined) this.uint32(srid);
  }

  uint32(value) {
    const piece = Buffer.alloc(4);
    if (this.little) piece.writeUInt32LE(value);
    else piece.writeUInt32BE(value);
    this.#pieces.push(piece);
  }

  polygon(rings, srid) {
    this.head(3, srid);
    this.uint32(rings.length);
    for (const ring of rings) {
      this.uint32(ring.length);
      const piece = new DataView(new ArrayBuffer(ring.length * 8 * (2 + this.extra)));
      let at = 0;
      for (const [x, y] of ring) {
        for (const value of [x, y, 1.5, -2.5].slice(0, 2 + this.extra)) {
          piece.setFloat64(at, value, this.little);
          at += 8;
        }
      }
      this.#pieces.push(Buffer.from(piece.buffer));
    }
  }

  bytes() {
    return Buffer.concat(this.#pieces);
  }
}

/** Geometries as one Arrow binary column; null where the geometry is null. `shift` bits precede the validity. */
export function wkbColumnOf(geometries, shift = 0) {
  const offsets = new Int32Array(geometries.length + 1);
  geometries.forEach((wkb, i) => {
    offsets[i + 1] = offsets[i] + (wkb?.length ?? 0);
  });
  const values = new Uint8Array(offsets[geometries.length]);
  geometries.forEach((wkb, i) => {
    if (wkb) values.set(wkb, offsets[i]);
  });
  if (geometries.every((wkb) => wkb !== null)) return { values, offsets };
  const validity = new Uint8Array(Math.ceil((shift + geometries.length) / 8));
  geometries.forEach((wkb, i) => {
    if (wkb) validity[(shift + i) >> 3] |= 1 << ((shift + i) & 7);
  });
  return { values, offsets, validity, validityOffset: shift };
}
