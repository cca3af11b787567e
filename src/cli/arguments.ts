import { type ParseArgsConfig, parseArgs } from "node:util";
import { checkValue, readConfigFile, resolveOptions, suggestion } from "../config/config.js";
import { flagName, OPTIONS, type OptionName, type OptionSpec, type Options } from "../config/options.js";
import { readRootOptions } from "../config/root-options.js";
import { PipelineError } from "../pipeline/errors.js";
import type { Arguments, Command } from "./command.js";
import { COMPLETE_FLAG } from "./completion.js";
import { helpText } from "./help.js";

/**
 * Read a command line.
 *
 * @returns undefined after `--help`, which prints to stdout.
 * @throws {PipelineError} usage, with the nearest known flag.
 */
export function readArguments(command: Command, argv: readonly string[]): Arguments | undefined {
  const config: NonNullable<ParseArgsConfig["options"]> = {
    help: { type: "boolean", short: "h" },
    "help-all": { type: "boolean" },
    version: { type: "boolean", short: "V" },
    config: { type: "string" },
  };
  for (const name of command.options) {
    const isBoolean = (OPTIONS[name] as OptionSpec).type === "boolean";
    config[flagName(name)] = { type: isBoolean ? "boolean" : "string" };
    // Takes back what the root remembers.
    if (isBoolean) config[`no-${flagName(name)}`] = { type: "boolean" };
  }
  if (config.quiet !== undefined) config.quiet = { ...config.quiet, short: "q" };
  for (const [flag, spec] of Object.entries(command.own ?? {})) {
    config[flag] = { type: spec.type, multiple: spec.multiple ?? false };
  }
  if (argv[0] === COMPLETE_FLAG) {
    process.stdout.write(
      `${Object.keys(config)
        .map((flag) => `--${flag}\n`)
        .join("")}`,
    );
    return undefined;
  }
  const { values, positionals } = parse(argv, config);
  if (values.help || values["help-all"]) {
    process.stdout.write(helpText(command, values["help-all"] === true, process.stdout.columns ?? 80));
    return undefined;
  }
  const given: Record<string, unknown> = {};
  for (const name of command.options) {
    const text = values[flagName(name)];
    if (text !== undefined) given[name] = checkValue(name, fromText(name, text), "command line");
    else if (values[`no-${flagName(name)}`] === true) given[name] = false;
  }
  const own = Object.fromEntries(Object.keys(command.own ?? {}).map((flag) => [flag, values[flag]]));
  const file = values.config === undefined ? {} : readConfigFile(values.config as string);
  const explicit = { ...file, ...given } as Partial<Options>;
  const root = command.rootOptions === undefined ? undefined : ofRoot(explicit, command.defaults);
  const options = resolveOptions(given as Partial<Options>, {
    defaults: command.defaults,
    ...(root && { root }),
    file,
  });
  return { options, given: explicit, positionals, own };
}

/** What the root's own file says, its region included. */
function ofRoot({ root, region }: Partial<Options>, defaults: Partial<Options> = {}): Partial<Options> {
  const kept = readRootOptions(root ?? defaults.root ?? OPTIONS.root.default, region);
  return { ...kept.options, ...(kept.region !== undefined && { region: kept.region }) };
}

function parse(argv: readonly string[], options: NonNullable<ParseArgsConfig["options"]>) {
  for (const arg of argv) {
    if (arg === "--") break;
    const flag = /^--([^=]+)/.exec(arg)?.[1];
    if (flag !== undefined && !(flag in options)) {
      throw new PipelineError("usage", `Unknown option --${flag}${suggestion(flag, Object.keys(options))}`);
    }
  }
  try {
    return parseArgs({ args: joinNegatives(argv, options), options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw new PipelineError("usage", (cause as Error).message.split("\n")[0] as string);
  }
}

/** `--at -98.5,38.4` as `--at=-98.5,38.4`: parseArgs takes a value that begins with a minus only so. */
function joinNegatives(argv: readonly string[], options: NonNullable<ParseArgsConfig["options"]>): string[] {
  const joined: string[] = [];
  for (const arg of argv) {
    const flag = joined.at(-1);
    const takesText = flag?.startsWith("--") && options[flag.slice(2)]?.type === "string";
    if (takesText && /^-\.?\d/.test(arg) && !joined.includes("--")) joined[joined.length - 1] = `${flag}=${arg}`;
    else joined.push(arg);
  }
  return joined;
}

function fromText(name: OptionName, text: unknown): unknown {
  const { type } = OPTIONS[name] as OptionSpec;
  if (typeof text !== "string") return text;
  if (type === "number" || type === "integer") return numberOr(text);
  if (type !== "numbers") return text;
  const numbers = text.trim() === "" ? [] : text.split(",").map(numberOr);
  return numbers.every((value) => typeof value === "number") ? numbers : text;
}

/** What is no number stays as it was typed, for the error to show; an empty text is none, though Number says 0. */
function numberOr(text: string): number | string {
  const value = Number(text);
  return text.trim() === "" || Number.isNaN(value) ? text : value;
}
