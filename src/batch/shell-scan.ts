/** Programs that run the argument after a flag that ends in c as a script. */
const SHELLS = /^(?:sh|bash|dash|ash|ksh|mksh|zsh|su|runuser)$/;
/** Commands that join their arguments to a script. */
const REREADERS = /^(?:eval|ssh)$/;

/**
 * Follows a shell script up to where a placeholder stands, as far as quotes, substitutions and the words of
 * the command there go.
 */
export class ShellScan {
  /** Open quotes and substitutions, the innermost last. */
  readonly #open: ("'" | '"' | "`" | "$(" | "${" | "(")[] = [];
  /** Whole words of the simple command so far, and the one that is begun. */
  #words: string[] = [];
  #word: string | undefined;
  /** A $ at the text's end, whose meaning the next text decides. */
  #dollar = "";

  /** The script goes on with this text. */
  read(more: string): void {
    const text = this.#dollar + more;
    this.#dollar = "";
    for (let i = 0; i < text.length; i++) {
      const c = text[i] as string;
      const inner = this.#open.at(-1);
      if (inner === "'") {
        if (c === "'") this.#open.pop();
        else this.#add(c);
      } else if (c === "\\") {
        this.#add(text[++i] ?? "");
      } else if (c === '"') {
        if (inner === '"') this.#open.pop();
        else this.#open.push('"');
        this.#word ??= "";
      } else if (c === "'" && inner !== '"') {
        this.#open.push("'");
        this.#word ??= "";
      } else if (c === "`") {
        if (this.#open.includes("`")) this.#open.length = this.#open.lastIndexOf("`");
        else this.#open.push("`");
      } else if (c === "$" && i === text.length - 1) {
        this.#dollar = c;
      } else if (c === "$" && (text[i + 1] === "(" || text[i + 1] === "{")) {
        this.#open.push(text[++i] === "(" ? "$(" : "${");
      } else if (c === "(" && inner !== '"') {
        this.#open.push("(");
        this.#endCommand();
      } else if (c === ")" && (inner === "$(" || inner === "(")) {
        this.#open.pop();
        this.#endCommand();
      } else if (c === "}" && inner === "${") {
        this.#open.pop();
      } else if (inner !== '"' && /[\s;|&<>]/.test(c)) {
        if (/[;|&\n]/.test(c)) this.#endCommand();
        else this.#endWord();
      } else {
        this.#add(c);
      }
    }
  }

  /** A placeholder stands here: part of a word. */
  readPlaceholder(): void {
    this.#add(`${this.#dollar}{}`);
    this.#dollar = "";
  }

  /** The quote that is open. */
  get quote(): string {
    const inner = this.#open.at(-1);
    return inner === "'" || inner === '"' ? inner : "";
  }

  /** Why what stands here would be read by a shell once more; undefined when it is not. */
  get reread(): string | undefined {
    const substitution = this.#open.find((open) => open === "`" || open === "$(" || open === "${");
    if (substitution !== undefined) return `inside ${substitution === "`" ? "backquotes" : `${substitution} ...`}`;
    return rereadArgument(this.#words);
  }

  #add(c: string): void {
    this.#word = (this.#word ?? "") + c;
  }

  #endWord(): void {
    if (this.#word !== undefined) this.#words.push(this.#word);
    this.#word = undefined;
  }

  #endCommand(): void {
    this.#words = [];
    this.#word = undefined;
  }
}

/**
 * Why an argument would be read as shell, by the arguments before it; undefined when it is not. Arguments after
 * the script itself (`sh -c 'echo "$1"' sh VALUE`) are not.
 */
export function rereadArgument(before: readonly string[]): string | undefined {
  const names = before.map((word) => word.slice(word.lastIndexOf("/") + 1));
  const again = names.find((name) => REREADERS.test(name));
  if (again !== undefined) return `in an argument of ${again}`;
  const shell = names.find((name) => SHELLS.test(name));
  if (shell !== undefined && /^-[A-Za-z]*c$/.test(before.at(-1) ?? "")) return `in the script of ${shell} -c`;
  return undefined;
}
