/**
 * What workers do: receive, call, return. Each export is one task; arguments are
 * plain data and shared or transferred buffers.
 */
import { Piscina } from "piscina";
import type { KernelName } from "../config/options.js";
import { type IdOrder, idOrder } from "../fields/ids.js";
import { columnData, readSlice, wkbColumn } from "../fields/read-slice.js";
import type { Slice } from "../fields/slice.js";
import { type AlbersConstants, type Burned, type Counted, type KernelGrid, loadKernel, type WkbColumn } from "../kernel/kernel.js";
import { type BandType, pixelArray } from "../raster/pixels.js";

export interface SliceColumns {
  readonly path: string;
  readonly slice: Slice;
  readonly idColumn: string;
  readonly geometryColumn: string;
}

export interface BurnTarget {
  readonly kernel: KernelName;
  readonly grid: KernelGrid;
  readonly albers: AlbersConstants | null;
}

export interface BurnedSlice {
  readonly burned: Burned;
  readonly ids: IdOrder;
}

/** Read a slice of fields and burn it. */
export async function burnSlice(task: SliceColumns & BurnTarget): Promise<BurnedSlice> {
  const { column, ids } = await readGeometry(task);
  const burned = (await loadKernel(task.kernel)).burn(column, task.grid, task.albers, task.slice.firstRow);
  return moved({ burned, ids }, Object.values(burned));
}

export interface GeometrySlice {
  readonly column: WkbColumn;
  readonly ids: IdOrder;
}

/** Read a slice of fields, for the main thread to reproject. */
export async function readGeometry(task: SliceColumns): Promise<GeometrySlice> {
  const table = await readSlice(task.path, task.slice, [task.idColumn, task.geometryColumn]);
  return { column: wkbColumn(columnData(table, task.geometryColumn)), ids: idOrder(columnData(table, task.idColumn)) };
}

/** Burn a column that is in the raster's CRS already. */
export async function burnColumn(task: BurnTarget & { readonly column: WkbColumn; readonly firstRow: number }): Promise<Burned> {
  const burned = (await loadKernel(task.kernel)).burn(task.column, task.grid, task.albers, task.firstRow);
  return moved(burned, Object.values(burned));
}

export interface CountTask {
  readonly kernel: KernelName;
  readonly type: BandType;
  /** Shared; `stride × height` pixels of the window from its start. */
  readonly pixels: SharedArrayBuffer;
  readonly stride: number;
  readonly height: number;
  /** Shared; segments of the zone index. */
  readonly words: SharedArrayBuffer;
  readonly wordCount: number;
  readonly layout: Uint32Array;
  readonly skip: Float64Array;
}

/** Count the fields of one window. */
export async function countWindow(task: CountTask): Promise<Counted> {
  const pixels = pixelArray(task.type, task.pixels, task.stride * task.height);
  const words = new Uint32Array(task.words, 0, task.wordCount);
  const counted = (await loadKernel(task.kernel)).count(pixels, task.stride, words, task.layout, task.skip);
  return moved(counted, [...Object.values(counted.complete), ...Object.values(counted.partial)]);
}

/** Hand a result over with its buffers moved, not copied. */
function moved<T>(value: T, arrays: readonly ArrayBufferView[]): T {
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
