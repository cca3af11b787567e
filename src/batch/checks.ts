import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { join, normalize } from "node:path";
import { PipelineError } from "../pipeline/errors.js";
import type { Output } from "./output-files.js";
import { argvTemplate, type CommandTemplate, splitCommand, type Values } from "./template.js";

/** A validity check of an item's output folder; returns the problem, or undefined. */
export interface Check {
  /** As the user wrote it. */
  readonly text: string;
  problem(output: Output, values: Values, signal: AbortSignal): Promise<string | undefined>;
}

/** A check command that takes longer than this has failed. */
const COMMAND_LIMIT_MS = 300_000;

const HELP = "exists, size:BYTES, parquet[:ROWS], json or cmd:COMMAND, each with FILE= before it for one file, or none";

/**
 * Parse `--valid` options. Without `FILE=` a check covers all files: `exists`, at least one file that is
 * not empty; `size`, their total bytes; `parquet` and `json`, each file with that extension, at least one.
 * `cmd:` runs in the output folder and must exit with 0.
 *
 * @param names  fields that `cmd:` may use as placeholders.
 * @throws {PipelineError} usage.
 */
export function readChecks(texts: readonly string[], names: readonly string[]): Check[] {
  if (texts.length === 0) return [parseCheck("exists", names)];
  if (texts.length === 1 && texts[0] === "none") return [];
  return texts.map((text) => parseCheck(text, names));
}

function parseCheck(text: string, names: readonly string[]): Check {
  if (text.startsWith("cmd:")) return commandCheck(text, argvTemplate(splitCommand(text.slice(4)), names));
  const [, file, kind = "", number] = /^(?:(.+)=)?([a-z]+)(?::(\d{1,15}))?$/.exec(text) ?? [];
  const limit = number === undefined ? undefined : Number(number);
  const bad = () => new PipelineError("usage", "Not a validity check", { expected: HELP, received: text });
  if (file !== undefined && (normalize(file).startsWith("..") || file.startsWith("/"))) throw bad();
  if (kind === "exists" && limit === undefined) return fileCheck(text, file, "", notEmpty);
  if (kind === "size" && limit !== undefined) {
    if (file !== undefined) return fileCheck(text, file, "", (_, bytes) => tooSmall(bytes, limit));
    return { text, problem: async ({ bytes }) => tooSmall(bytes, limit) };
  }
  if (kind === "parquet") return fileCheck(text, file, ".parquet", (path) => parquetProblem(path, limit));
  if (kind === "json" && limit === undefined) return fileCheck(text, file, ".json", jsonProblem);
  throw bad();
}

type FileProblem = (path: string, bytes: number) => string | undefined | Promise<string | undefined>;

/** One named file, or every file whose name ends in `suffix`: one at least; of `exists` one that is not empty. */
function fileCheck(text: string, file: string | undefined, suffix: string, problemOf: FileProblem): Check {
  return {
    text,
    async problem({ folder, files: all }) {
      if (file !== undefined) {
        const bytes = await sizeOf(join(folder, file));
        return bytes === undefined ? `${file} is not there` : named(file, await problemOf(join(folder, file), bytes));
      }
      const files = all.filter(({ path }) => path.endsWith(suffix));
      if (suffix === "") return files.some(({ bytes }) => bytes > 0) ? undefined : "nothing was written";
      if (files.length === 0) return `no ${suffix} file was written`;
      for (const { path, bytes } of files) {
        const problem = await problemOf(join(folder, path), bytes);
        if (problem !== undefined) return named(path, problem);
      }
      return undefined;
    },
  };
}

function named(file: string, problem: string | undefined): string | undefined {
  return problem && `${file}: ${problem}`;
}

function notEmpty(_path: string, bytes: number): string | undefined {
  return bytes > 0 ? undefined : "is empty";
}

function tooSmall(bytes: number, least: number): string | undefined {
  return bytes >= least ? undefined : `${bytes} bytes, expected ${least} or more`;
}

/** Few batches need the library that reads footers, so it is loaded on demand. */
async function parquetProblem(path: string, rows: number | undefined): Promise<string | undefined> {
  const { openParquet } = await import("../table/parquet-file.js");
  try {
    const shape = await openParquet(path);
    return rows === undefined || shape.rows === rows ? undefined : `${shape.rows} rows, expected ${rows}`;
  } catch (error) {
    return error instanceof PipelineError ? error.sentence : String(error);
  }
}

async function jsonProblem(path: string): Promise<string | undefined> {
  try {
    JSON.parse(await readFile(path, "utf8"));
    return undefined;
  } catch (error) {
    return `not JSON: ${(error as Error).message}`;
  }
}

function commandCheck(text: string, template: CommandTemplate): Check {
  return {
    text,
    problem({ folder }, values, signal) {
      const [program = "", ...args] = template.expand({ ...values, out: folder });
      return new Promise((resolve) => {
        execFile(program, args, { cwd: folder, timeout: COMMAND_LIMIT_MS, signal }, (error, _stdout, stderr) => {
          const last = stderr.trim().split("\n").at(-1) ?? "";
          resolve(error ? `${text} says no: ${last || error.message.split("\n")[0]}` : undefined);
        });
      });
    },
  };
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const { size } = await stat(path);
    return size;
  } catch {
    return undefined;
  }
}
