import { PipelineError } from "../pipeline/errors.js";
import type { Json } from "../pipeline/fingerprint.js";
import { rereadArgument, ShellScan } from "./shell-scan.js";

/** Placeholders that exist in addition to the items' fields. */
const OWN_NAMES = ["id", "out", "item", "cwd", "attempt"] as const;

export type Values = Readonly<Record<string, Json>>;

/** A command with placeholders, checked once and expanded for each item. */
export interface CommandTemplate {
  /** The program before expansion, to check that it exists. */
  readonly program: string;
  /** The argv: a placeholder's value is always part of one argument. */
  expand(values: Values): readonly string[];
}

/**
 * A command as an argv of templates: `{name}` is replaced within its argument; `{{` and `}}` are braces.
 *
 * @throws {PipelineError} usage, when the command is empty, or a placeholder is unknown or part of a script (`sh -c "echo {id}"`).
 */
export function argvTemplate(argv: readonly string[], names: readonly string[]): CommandTemplate {
  const [program] = argv;
  if (program === undefined || program === "") throw new PipelineError("usage", "The command is empty");
  const parts = argv.map((text) => splitTemplate(text, names));
  parts.forEach((argument, i) => {
    const placeholder = argument.find((part) => typeof part !== "string");
    if (placeholder !== undefined) refuseReread(rereadArgument(argv.slice(0, i)), placeholder.name);
  });
  return {
    program,
    expand: (values) =>
      parts.map((argument) => argument.map((p) => (typeof p === "string" ? p : valueText(values[p.name]))).join("")),
  };
}

/**
 * A command line for /bin/sh. Values are passed as positional parameters, and a placeholder becomes a
 * quoted reference to one, so the shell never parses a value.
 *
 * @throws {PipelineError} usage, for a placeholder that is unknown, in single quotes, where nothing is expanded, or
 *   where a shell would parse its value: in a substitution, `eval`, `sh -c "..."`.
 */
export function shellTemplate(text: string, names: readonly string[]): CommandTemplate {
  if (text.trim() === "") throw new PipelineError("usage", "The command is empty");
  const used: string[] = [];
  const scan = new ShellScan();
  let script = "";
  for (const part of splitTemplate(text, names)) {
    if (typeof part === "string") {
      scan.read(part);
      script += part;
      continue;
    }
    const { quote, reread } = scan;
    refuseReread(reread, part.name);
    scan.readPlaceholder();
    if (quote === "'") {
      throw new PipelineError("usage", "A placeholder stands in single quotes, where the shell expands nothing", {
        placeholder: part.name,
        expected: "double quotes, or none: --shell quotes values itself",
      });
    }
    if (!used.includes(part.name)) used.push(part.name);
    const reference = `\${${used.indexOf(part.name) + 1}}`;
    script += quote === '"' ? reference : `"${reference}"`;
  }
  return {
    program: "/bin/sh",
    expand: (values) => ["/bin/sh", "-c", script, "item", ...used.map((name) => valueText(values[name]))],
  };
}

function refuseReread(why: string | undefined, placeholder: string): void {
  if (why === undefined) return;
  throw new PipelineError("usage", `A placeholder stands ${why}, where a shell would read its value as script`, {
    placeholder,
    expected: "the value as an argument of its own (sh -c 'echo \"$1\"' sh {id}), or from the environment: $BATCH_ID",
  });
}

/**
 * Split a command line into arguments at spaces; quotes and backslashes keep spaces, and nothing is expanded.
 *
 * @throws {PipelineError} usage, when a quote is not closed.
 */
export function splitCommand(text: string): string[] {
  const argv: string[] = [];
  let current: string | undefined;
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string;
    if (quote === "" && /\s/.test(c)) {
      if (current !== undefined) argv.push(current);
      current = undefined;
    } else if (quote === "" && (c === "'" || c === '"')) {
      quote = c;
      current ??= "";
    } else if (c === quote) {
      quote = "";
    } else if (c === "\\" && quote !== "'" && i + 1 < text.length) {
      current = (current ?? "") + text[++i];
    } else {
      current = (current ?? "") + c;
    }
  }
  if (quote !== "") throw new PipelineError("usage", "A quote is not closed in the command", { received: text });
  if (current !== undefined) argv.push(current);
  return argv;
}

type Part = string | { readonly name: string };

function splitTemplate(text: string, names: readonly string[]): Part[] {
  const parts: Part[] = [];
  const pattern = /\{\{|\}\}|\{([^{}]*)\}|[{}]/g;
  let end = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    parts.push(text.slice(end, match.index));
    end = pattern.lastIndex;
    const name = match[1];
    if (match[0] === "{{" || match[0] === "}}") {
      parts.push(match[0].slice(1));
    } else if (name !== undefined && (names.includes(name) || (OWN_NAMES as readonly string[]).includes(name))) {
      parts.push({ name });
    } else {
      throw new PipelineError("usage", "Unknown placeholder in the command; a brace itself is written {{ or }}", {
        received: match[0],
        expected: [...new Set([...OWN_NAMES, ...names])].map((known) => `{${known}}`).join(" "),
      });
    }
  }
  parts.push(text.slice(end));
  return parts.filter((part) => part !== "");
}

function valueText(value: Json | undefined): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
