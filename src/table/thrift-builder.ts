import { THRIFT, type ThriftStruct, type ThriftType, type ThriftValue, writeStruct } from "./thrift.js";

/** A struct of Thrift's compact protocol, built field by field. */
export class ThriftBuilder {
  readonly #fields: ThriftStruct = new Map();

  i8(field: number, value: number): this {
    return this.#set(field, THRIFT.byte, value & 0xff);
  }

  i16(field: number, value: number): this {
    return this.#set(field, THRIFT.i16, BigInt(value));
  }

  i32(field: number, value: number): this {
    return this.#set(field, THRIFT.i32, BigInt(value));
  }

  i64(field: number, value: number): this {
    return this.#set(field, THRIFT.i64, BigInt(value));
  }

  truth(field: number, value: boolean): this {
    return this.#set(field, THRIFT.true, value);
  }

  binary(field: number, value: string | Uint8Array): this {
    return this.#set(field, THRIFT.binary, bytesOf(value));
  }

  struct(field: number, value: ThriftBuilder): this {
    return this.#set(field, THRIFT.struct, value.#fields);
  }

  i32s(field: number, values: readonly number[]): this {
    return this.#list(field, THRIFT.i32, values.map(BigInt));
  }

  strings(field: number, values: readonly string[]): this {
    return this.#list(field, THRIFT.binary, values.map(bytesOf));
  }

  structs(field: number, values: readonly ThriftBuilder[]): this {
    return this.#list(
      field,
      THRIFT.struct,
      values.map((value) => value.#fields),
    );
  }

  bytes(): Uint8Array {
    return writeStruct(this.#fields);
  }

  #set(field: number, type: ThriftType, value: ThriftValue): this {
    this.#fields.set(field, { type, value });
    return this;
  }

  #list(field: number, of: ThriftType, items: readonly ThriftValue[]): this {
    return this.#set(field, THRIFT.list, { of, items });
  }
}

function bytesOf(value: string | Uint8Array): Uint8Array {
  return typeof value === "string" ? Buffer.from(value) : value;
}
