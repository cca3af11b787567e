import { memoryGiB } from "../cluster/slurm-units.js";
import { PipelineError } from "../pipeline/errors.js";
import type { Item } from "./items.js";

/** What an item takes of its node while it runs, or what a node has. */
export interface Resources {
  readonly cpus: number;
  readonly memoryGiB: number;
}

export interface ResourceOptions {
  /** A number of cores, or the name of a column that has it. */
  readonly cpus: string | undefined;
  /** Memory as sbatch takes it (`4G`, `1900M`), or the name of a column that has it. */
  readonly mem: string | undefined;
}

const NOTHING: Resources = { cpus: 0, memoryGiB: 0 };

/**
 * What each item takes, by its id; undefined where neither is asked for.
 *
 * @throws {PipelineError} usage, for a column that not all items have; input, naming the item whose value is no such
 *   number, or that takes more than the node has.
 */
export function readNeeds(
  { cpus, mem }: ResourceOptions,
  items: readonly Item[],
  fieldNames: readonly string[],
  node: Resources,
): ReadonlyMap<string, Resources> | undefined {
  if (cpus === undefined && mem === undefined) return undefined;
  const cores = reader("cpus", cpus, fieldNames, /^[1-9]\d{0,3}$/, Number, "a whole number of cores");
  const memory = reader("mem", mem, fieldNames, /^[1-9]\d*[KMGT]?B?$/i, memoryGiB, "memory, as 4G or 1900M");
  return new Map(
    items.map((item) => {
      const needs = { cpus: cores(item), memoryGiB: memory(item) };
      if (needs.cpus > node.cpus || needs.memoryGiB > node.memoryGiB) {
        throw new PipelineError("input", "An item needs more than this node has", {
          item: item.id,
          expected: `at most ${node.cpus} cores, ${Math.floor(node.memoryGiB * 1024)} MiB`,
          received: `${needs.cpus} cores, ${Math.ceil(needs.memoryGiB * 1024)} MiB`,
        });
      }
      return [item.id, needs];
    }),
  );
}

/** Reads a value of an item: the option's own, or of the column that it names. */
function reader(
  name: string,
  given: string | undefined,
  fieldNames: readonly string[],
  form: RegExp,
  parse: (text: string) => number,
  expected: string,
): (item: Item) => number {
  if (given === undefined) return () => 0;
  if (form.test(given)) {
    const value = parse(given);
    return () => value;
  }
  if (!fieldNames.includes(given)) {
    throw new PipelineError("usage", `Option --${name} is neither a value nor a column that all items have`, {
      expected: `${expected}, or one of ${fieldNames.join(" ")}`,
      received: given,
    });
  }
  return ({ id, fields }) => {
    const text = String(fields[given]).trim();
    if (form.test(text)) return parse(text);
    throw new PipelineError("input", `An item's ${given} is not what --${name} takes`, {
      item: id,
      expected,
      received: text,
    });
  };
}

/** Memory of this node that items may share. */
export function nodeMemoryGiB(env: NodeJS.ProcessEnv = process.env): number {
  const available = process.availableMemory() / 2 ** 30;
  const slurm = Number(env.SLURM_MEM_PER_NODE) / 1024;
  return slurm > 0 ? Math.min(slurm, available) : available;
}

/** What is left of a node while items run on it. */
export class NodeResources {
  #left: Resources;

  constructor(
    node: Resources,
    private readonly needs: ReadonlyMap<string, Resources> | undefined,
  ) {
    this.#left = node;
  }

  of(item: Item): Resources {
    return this.needs?.get(item.id) ?? NOTHING;
  }

  fits(item: Item): boolean {
    const { cpus, memoryGiB: memory } = this.of(item);
    return cpus <= this.#left.cpus && memory <= this.#left.memoryGiB + 1e-9;
  }

  take(item: Item): void {
    this.#add(item, -1);
  }

  give(item: Item): void {
    this.#add(item, 1);
  }

  #add(item: Item, sign: 1 | -1): void {
    const { cpus, memoryGiB: memory } = this.of(item);
    this.#left = { cpus: this.#left.cpus + sign * cpus, memoryGiB: this.#left.memoryGiB + sign * memory };
  }
}
