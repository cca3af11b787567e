import { BufferType, Data, DataType, makeData, RecordBatch, type Schema, Struct } from "apache-arrow";

/** Largest value of a 32-bit Arrow offset: the bytes of one string or binary column in one batch. */
const MAX_OFFSET = 2 ** 31 - 1;

const NO_BYTES = new Uint8Array(0);

type Batches = AsyncIterable<RecordBatch> | Iterable<RecordBatch>;

/**
 * The same rows in batches of exactly `rows` rows (the last may hold fewer).
 *
 * What a parquet writer makes of a row group depends on how its rows arrive: pages
 * end where a batch ends. One batch per row group makes the bytes depend on the
 * rows alone.
 *
 * @throws {Error} when a batch does not have the schema's columns, or a column's type cannot be joined.
 */
export async function* toRowGroups(schema: Schema, batches: Batches, rows: number): AsyncGenerator<RecordBatch> {
  let pending: RecordBatch[] = [];
  let waiting = 0;
  for await (const batch of batches) {
    assertSchema(schema, batch);
    let start = 0;
    while (batch.numRows - start >= rows - waiting) {
      const end = start + rows - waiting;
      pending.push(part(batch, start, end));
      yield joinBatches(schema, pending);
      [pending, waiting, start] = [[], 0, end];
    }
    if (start < batch.numRows) {
      pending.push(part(batch, start, batch.numRows));
      waiting += batch.numRows - start;
    }
  }
  if (waiting > 0) yield joinBatches(schema, pending);
}

function part(batch: RecordBatch, start: number, end: number): RecordBatch {
  return start === 0 && end === batch.numRows ? batch : batch.slice(start, end);
}

function assertSchema(schema: Schema, batch: RecordBatch): void {
  const describe = (s: Schema) => s.fields.map((f) => `${f.name}: ${f.type}`).join(", ");
  const [expected, received] = [describe(schema), describe(batch.schema)];
  if (expected !== received) throw new Error(`A batch has columns (${received}), expected (${expected})`);
  for (const [i, field] of schema.fields.entries()) {
    const nulls = batch.data.children[i]?.nullCount ?? 0;
    if (!field.nullable && nulls > 0)
      throw new Error(`Column ${field.name} is not nullable, a batch has ${nulls} nulls in it`);
  }
}

/** A batch of no rows, which still tells the schema. */
export function emptyBatch(schema: Schema): RecordBatch {
  const emptyData = (type: DataType): Data =>
    makeData({
      type,
      length: 0,
      nullCount: 0,
      ...(DataType.isList(type) && { child: emptyData(type.valueType) }),
      ...(DataType.isStruct(type) && { children: type.children.map((field) => emptyData(field.type)) }),
    });
  const children = schema.fields.map((field) => emptyData(field.type));
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: 0, nullCount: 0, children }));
}

/** Rows of several batches as one, buffers copied together. */
function joinBatches(schema: Schema, batches: readonly RecordBatch[]): RecordBatch {
  const length = batches.reduce((sum, batch) => sum + batch.numRows, 0);
  const children = schema.fields.map((_, i) => joinData(batches.map((batch) => batch.data.children[i] as Data)));
  const data = makeData({ type: new Struct(schema.fields), length, nullCount: 0, children });
  return new RecordBatch(schema, data);
}

function joinData(parts: readonly Data[]): Data {
  const [first] = parts;
  if (first === undefined) throw new Error("No batch to join");
  // A sliced bitmap starts mid-byte, which only this function's callers would have to know.
  if (parts.length === 1 && first.offset === 0) return first;
  const { type } = first;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const nullCount = parts.reduce((sum, part) => sum + part.nullCount, 0);
  const validity =
    nullCount === 0
      ? NO_BYTES
      : joinBits(parts, length, (part) => (part.nullCount === 0 ? undefined : part.nullBitmap));
  const join = (buffers: Partial<Data["buffers"]>, children: Data[] = []) =>
    new Data<DataType>(type, 0, length, nullCount, { ...buffers, [BufferType.VALIDITY]: validity }, children);
  if (DataType.isBool(type)) return join({ [BufferType.DATA]: joinBits(parts, length, (part) => part.values) });
  if (DataType.isInt(type) || DataType.isFloat(type)) return join({ [BufferType.DATA]: joinValues(parts, length) });
  if (DataType.isUtf8(type) || DataType.isBinary(type)) {
    const offsets = joinOffsets(parts, length);
    const bytes = new Uint8Array(offsets[length] as number);
    let at = 0;
    for (const part of parts) {
      const [from, to] = extent(part);
      bytes.set(part.values.subarray(from, to), at);
      at += to - from;
    }
    return join({ [BufferType.OFFSET]: offsets, [BufferType.DATA]: bytes });
  }
  if (DataType.isList(type)) {
    const items = parts.map((part) => {
      const [from, to] = extent(part);
      return (part.children[0] as Data).slice(from, to - from);
    });
    return join({ [BufferType.OFFSET]: joinOffsets(parts, length) }, [joinData(items)]);
  }
  if (DataType.isStruct(type)) {
    return join(
      {},
      type.children.map((_, i) => joinData(parts.map((part) => part.children[i] as Data))),
    );
  }
  throw new Error(`Cannot join columns of type ${type}`);
}

/** Range of a variable-width part in its values (or in its child). */
function extent(part: Data): [number, number] {
  return [part.valueOffsets[0] ?? 0, part.valueOffsets[part.length] ?? 0];
}

function joinValues(parts: readonly Data[], length: number): DataType["TArray"] {
  const { type, stride } = parts[0] as Data;
  const values = new type.ArrayType(length * stride);
  let at = 0;
  for (const part of parts) {
    values.set(part.values.subarray(0, part.length * stride), at);
    at += part.length * stride;
  }
  return values;
}

function joinOffsets(parts: readonly Data[], length: number): Int32Array {
  const offsets = new Int32Array(length + 1);
  let [row, at] = [0, 0];
  for (const part of parts) {
    const [from, to] = extent(part);
    if (at + to - from > MAX_OFFSET)
      throw new Error(`A column of ${length} rows holds more than ${MAX_OFFSET} bytes: use smaller row groups`);
    for (let i = 1; i <= part.length; i++) offsets[++row] = at + (part.valueOffsets[i] as number) - from;
    at += to - from;
  }
  return offsets;
}

/** Bits of all parts in one bitmap; a part without one counts as all set. */
function joinBits(parts: readonly Data[], length: number, bitsOf: (part: Data) => Uint8Array | undefined): Uint8Array {
  const joined = new Uint8Array(Math.ceil(length / 8));
  let row = 0;
  for (const part of parts) {
    const bits = bitsOf(part);
    for (let i = part.offset; i < part.offset + part.length; i++, row++) {
      const set = bits === undefined || ((bits[i >> 3] as number) >> (i & 7)) & 1;
      if (set) joined[row >> 3] = (joined[row >> 3] as number) | (1 << (row & 7));
    }
  }
  return joined;
}
