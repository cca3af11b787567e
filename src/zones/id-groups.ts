import type { EncodedChunk, IdColumn, IntegerArray } from "../kernel/parquet.js";
import { ID_GROUP_ROWS } from "./format.js";

const INTEGER_ARRAYS = {
  Int8Array,
  Uint8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
} as const;

/** Ids that wait for their group to be full, as a checkpoint keeps them. */
export interface HeldIds {
  readonly type: string;
  /** Base64, as are the others. */
  readonly values: string;
  readonly lengths?: string;
  readonly valid?: string;
}

/** Cuts ids that come slice by slice into groups of ID_GROUP_ROWS, whatever the slices, and has them encoded. */
export class IdGroups {
  #held: IdColumn[] = [];
  #rows = 0;

  constructor(private readonly encode: (ids: IdColumn) => EncodedChunk) {}

  /** @returns the groups that are full now. */
  add(ids: IdColumn): { chunk: EncodedChunk; rows: number }[] {
    this.#held.push(ids);
    this.#rows += rowsOf(ids);
    const full = [];
    while (this.#rows >= ID_GROUP_ROWS) {
      const all = joinIds(this.#held);
      full.push({ chunk: this.encode(cutIds(all, 0, ID_GROUP_ROWS)), rows: ID_GROUP_ROWS });
      this.#held = [cutIds(all, ID_GROUP_ROWS, this.#rows)];
      this.#rows -= ID_GROUP_ROWS;
    }
    return full;
  }

  /** The last group, if rows are left. */
  finish(): { chunk: EncodedChunk; rows: number } | undefined {
    return this.#rows === 0 ? undefined : { chunk: this.encode(joinIds(this.#held)), rows: this.#rows };
  }

  get held(): HeldIds | undefined {
    if (this.#rows === 0) return undefined;
    const { values, lengths, valid } = joinIds(this.#held);
    return {
      type: values.constructor.name,
      values: base64(values),
      ...(lengths && { lengths: base64(lengths) }),
      ...(valid && { valid: base64(valid) }),
    };
  }

  resume(held: HeldIds | undefined): void {
    if (held === undefined) return;
    const array = INTEGER_ARRAYS[held.type as keyof typeof INTEGER_ARRAYS];
    const ids = {
      values: new array(bytesOf(held.values).buffer as ArrayBuffer) as IntegerArray,
      ...(held.lengths !== undefined && { lengths: new Uint32Array(bytesOf(held.lengths).buffer as ArrayBuffer) }),
      ...(held.valid !== undefined && { valid: bytesOf(held.valid) }),
    };
    this.#held = [ids];
    this.#rows = rowsOf(ids);
  }
}

function rowsOf({ values, lengths }: IdColumn): number {
  return lengths?.length ?? values.length;
}

function joinIds(parts: readonly IdColumn[]): IdColumn {
  const [first] = parts as readonly [IdColumn];
  if (parts.length === 1) return first;
  const valid = parts.some((part) => part.valid !== undefined)
    ? concat(parts.map((part) => part.valid ?? new Uint8Array(rowsOf(part)).fill(1)))
    : undefined;
  return {
    values: concat(parts.map(({ values }) => values)),
    ...(first.lengths && { lengths: concat(parts.map(({ lengths }) => lengths as Uint32Array)) }),
    ...(valid && { valid }),
  };
}

function cutIds({ values, lengths, valid }: IdColumn, from: number, to: number): IdColumn {
  const before = (row: number) => (lengths === undefined ? row : sum(lengths.subarray(0, row)));
  return {
    values: values.slice(before(from), before(to)) as IntegerArray,
    ...(lengths && { lengths: lengths.slice(from, to) }),
    ...(valid && { valid: valid.slice(from, to) }),
  };
}

function concat<A extends IntegerArray>(parts: readonly A[]): A {
  const length = parts.reduce((total, part) => total + part.length, 0);
  const all = new ((parts[0] as A).constructor as new (length: number) => Uint8Array)(length);
  let at = 0;
  for (const part of parts) {
    all.set(part as Uint8Array, at);
    at += part.length;
  }
  return all as unknown as A;
}

const sum = (lengths: Uint32Array) => lengths.reduce((total, length) => total + length, 0);

function base64({ buffer, byteOffset, byteLength }: IntegerArray): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}

/** In a buffer of their own. */
function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "base64"));
}
