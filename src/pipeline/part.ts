import { existsSync } from "node:fs";
import { PipelineError } from "./errors.js";

/** Part `number` (from 1) of `count` that an output is made in, each by a process of its own. */
export interface Part {
  readonly number: number;
  readonly count: number;
}

/** What a process makes of an output: one part, or the whole from `join` parts that are there; undefined: the whole. */
export type Division = { readonly part: Part } | { readonly join: number } | undefined;

const MAX_PARTS = 100_000;

/** Help of the two options, for the commands that have them. */
export const PART_OPTIONS = {
  part: {
    type: "string",
    help: "make only part I of N, as 2/4, next to --out; other processes or machines make the others",
  },
  join: { type: "string", help: "join the parts of --part I/N into --out: pass N" },
} as const;

/** @throws {PipelineError} usage. */
export function divisionOf(part: unknown, join: unknown): Division {
  if (part === undefined && join === undefined) return undefined;
  if (part !== undefined && join !== undefined)
    throw new PipelineError("usage", "--part makes a part and --join joins all of them: pass one of the two");
  const wrong = (flag: string, expected: string) =>
    new PipelineError("usage", `--${flag} is not valid`, { received: String(part ?? join), expected });
  if (part === undefined) {
    const count = positiveNumber(join);
    if (count === undefined) throw wrong("join", `a number of parts, 1 to ${MAX_PARTS}`);
    return { join: count };
  }
  const [number, count, ...rest] = String(part).split("/").map(positiveNumber);
  if (number === undefined || count === undefined || rest.length > 0 || number > count)
    throw wrong("part", `I/N, as 2/4, with I from 1 to N and N up to ${MAX_PARTS}`);
  return { part: { number, count } };
}

function positiveNumber(text: unknown): number | undefined {
  const number = /^[1-9]\d{0,5}$/.test(String(text)) ? Number(text) : undefined;
  return number !== undefined && number <= MAX_PARTS ? number : undefined;
}

/** Where a part of an output lies: next to it. */
export function partPath(out: string, { number, count }: Part): string {
  return `${out}.${number}-of-${count}.part`;
}

/** The share of `total` things in a row that a part takes: `[from, to)`. */
export function shareOf(total: number, { number, count }: Part): { readonly from: number; readonly to: number } {
  return { from: Math.floor((total * (number - 1)) / count), to: Math.floor((total * number) / count) };
}

/**
 * All parts of an output.
 *
 * @throws {PipelineError} input, naming the parts that are not there.
 */
export function requireParts(out: string, count: number): { readonly part: Part; readonly path: string }[] {
  const all = Array.from({ length: count }, (_, i) => {
    const part = { number: i + 1, count };
    return { part, path: partPath(out, part) };
  });
  const missing = all.filter(({ path }) => !existsSync(path)).map(({ part }) => `${part.number}/${count}`);
  if (missing.length === 0) return all;
  throw new PipelineError("input", "Parts are missing; make them with --part", {
    path: out,
    missing: missing.slice(0, 20).join(" ") + (missing.length > 20 ? ` and ${missing.length - 20} more` : ""),
  });
}

/** @throws {PipelineError} input, when a part was made from other inputs or options than its siblings are joined with. */
export function requireSameInputs(path: string, expected: string, received: string): void {
  if (expected === received) return;
  throw new PipelineError("input", "Part was made from other inputs or with other options; make it again with --part", {
    path,
    expected: expected.slice(0, 12),
    received: received.slice(0, 12),
  });
}
