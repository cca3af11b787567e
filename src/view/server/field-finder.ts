import { existsSync } from "node:fs";
import { layoutOf, type Options } from "../../config/config.js";
import { withRun } from "../../config/run.js";
import { openFields } from "../../fields/fields-file.js";
import { fieldsFileLayout } from "../../fields/root-fields.js";
import { cropName } from "../../legend/cdl-legend.js";
import type { Rings } from "../../lookup/area.js";
import { ensureLookup } from "../../lookup/ensure-lookup.js";
import { FieldIndex } from "../../lookup/field-index.js";
import type { Context } from "../../pipeline/context.js";
import { asPipelineError, PipelineError } from "../../pipeline/errors.js";
import type { ViewerAnswer, ViewerFound } from "../viewer-api.js";
import type { FieldHistory } from "./field-history.js";

interface Opened {
  readonly index: FieldIndex;
  /** Ids are integers, not text. */
  readonly numbers: boolean;
  readonly rows: number;
}

/** Answers that need the fields: the position of a field by id, and the crops of an area. */
export class FieldFinder {
  #index: Promise<Opened> | undefined;

  constructor(
    private readonly options: Options,
    private readonly history: FieldHistory,
    private readonly ctx: Context,
  ) {}

  /** Whether the root's fields are on this machine. */
  get ready(): boolean {
    return existsSync(this.#path());
  }

  async find(text: string): Promise<ViewerFound> {
    const { index, numbers } = await this.#opened();
    if (numbers && !/^-?\d{1,20}$/.test(text)) return { fields: [] };
    const found = await index.withId(numbers ? BigInt(text) : text);
    return { fields: found.map(({ row, bounds }) => ({ row, bounds })) };
  }

  /**
   * Crops of all fields whose bounding-box center is in an area.
   *
   * @returns undefined without a history.
   * @throws {PipelineError} input, if the history belongs to other fields.
   */
  async ask(name: string, rings: Rings): Promise<ViewerAnswer | undefined> {
    const { index, rows: fields } = await this.#opened();
    const reader = await this.history.openReader();
    if (reader === undefined) return undefined;
    if (reader.rows !== fields) {
      const where = { path: reader.path, expected: fields, received: reader.rows };
      throw new PipelineError(
        "input",
        "The history belongs to other fields; recreate it with node dist/history.js",
        where,
      );
    }
    const { years, missing } = reader.header;
    const { sums, ...counts } = await reader.sumCrops(await index.rowsIn(rings));
    const there = years.flatMap((year, i) => (missing.includes(year) ? [] : [i]));
    const pick = (values: Float64Array) => there.map((i) => Math.round((values[i] as number) * 100) / 100);
    const total = ({ hectares }: { readonly hectares: readonly number[] }) => hectares.reduce((a, b) => a + b, 0);
    const crops = [...sums].map(([code, { hectares, fields: count }]) => ({
      code,
      name: code === null ? "no crop" : cropName(code),
      hectares: pick(hectares),
      fields: pick(count),
    }));
    return {
      name,
      rings,
      ...counts,
      years: there.map((i) => years[i] as number),
      crops: crops.sort((a, b) => total(b) - total(a) || (a.code ?? Infinity) - (b.code ?? Infinity)),
    };
  }

  async close(): Promise<void> {
    const opened = await this.#index?.catch(() => undefined);
    await opened?.index.close();
  }

  #path(): string {
    return fieldsFileLayout(this.options, layoutOf(this.options, 0)).fieldsRaw;
  }

  /** The first request builds the lookup index if there is none. */
  #opened(): Promise<Opened> {
    this.#index ??= this.#open().catch((error: unknown) => {
      this.#index = undefined;
      throw asPipelineError(error, "input", "The fields cannot be looked up");
    });
    return this.#index;
  }

  async #open(): Promise<Opened> {
    const { Type } = await import("apache-arrow");
    const fields = await openFields(this.#path(), this.options, this.ctx.log);
    const lookup = await withRun(this.options, undefined, this.ctx, (run) => ensureLookup(fields, run));
    const index = await FieldIndex.open(fields, lookup);
    return { index, numbers: fields.idType.typeId === Type.Int, rows: fields.rows };
  }
}
