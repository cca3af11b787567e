import { Piscina } from "piscina";

/** Hand a task's result over with its buffers moved, not copied. */
export function transfer<T>(value: T, arrays: readonly ArrayBufferView[]): T {
  const buffers = arrays.map((array) => array.buffer as ArrayBuffer);
  return Piscina.move({
    get [Piscina.transferableSymbol]() {
      return buffers;
    },
    get [Piscina.valueSymbol]() {
      return value;
    },
  } as never) as T;
}
