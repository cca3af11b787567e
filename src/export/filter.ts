import { suggestion } from "../config/config.js";
import { PipelineError } from "../pipeline/errors.js";

export type Value = number | bigint | string | null;
/** A row's value of a column. */
export type Lookup = (column: string) => Value;

const TOKEN = /\s*(?:('(?:[^']|'')*')|(-?\d+(?:\.\d+)?)|(<=|>=|<>|!=|=|<|>|\(|\)|,)|([A-Za-z_]\w*))/y;
const COMPARISONS: Readonly<Record<string, (order: number) => boolean>> = {
  "=": (order) => order === 0,
  "!=": (order) => order !== 0,
  "<>": (order) => order !== 0,
  "<": (order) => order < 0,
  "<=": (order) => order <= 0,
  ">": (order) => order > 0,
  ">=": (order) => order >= 0,
};

type Predicate = (row: Lookup) => boolean | null;

/**
 * `--where`, as SQL has it: comparisons of a column with a number or a text, `in`, `between`, `is null`,
 * joined by `and`, `or`, `not` and parentheses. A comparison with null is unknown and selects nothing.
 *
 * @throws {PipelineError} usage, with the place where it does not go on, or an unknown column.
 */
export function parseWhere(text: string, columns: readonly string[]): (row: Lookup) => boolean {
  const parser = new Parser(text, columns);
  const predicate = parser.expression();
  parser.end();
  return (row) => predicate(row) === true;
}

class Parser {
  readonly #tokens: { readonly text: string; readonly at: number }[] = [];
  #next = 0;

  constructor(
    private readonly text: string,
    private readonly columns: readonly string[],
  ) {
    TOKEN.lastIndex = 0;
    while (text.slice(TOKEN.lastIndex).trim() !== "") {
      const at = TOKEN.lastIndex;
      const match = TOKEN.exec(text);
      if (match === null) throw this.#wrong(at);
      this.#tokens.push({ text: match[0].trim(), at });
    }
  }

  expression(): Predicate {
    let left = this.#conjunction();
    while (this.#takeWord("or")) left = or(left, this.#conjunction());
    return left;
  }

  end(): void {
    if (this.#next < this.#tokens.length) throw this.#wrong();
  }

  #conjunction(): Predicate {
    let left = this.#negation();
    while (this.#takeWord("and")) left = and(left, this.#negation());
    return left;
  }

  #negation(): Predicate {
    if (!this.#takeWord("not")) return this.#primary();
    const inner = this.#negation();
    return (row) => {
      const value = inner(row);
      return value === null ? null : !value;
    };
  }

  #primary(): Predicate {
    if (this.#take("(")) {
      const inner = this.expression();
      this.#expect(")");
      return inner;
    }
    const column = this.#column();
    if (this.#takeWord("is")) {
      const not = this.#takeWord("not");
      if (!this.#takeWord("null")) throw this.#wrong();
      return (row) => (row(column) === null) !== not;
    }
    const not = this.#takeWord("not");
    const found = this.#takeWord("in") ? this.#list(column) : this.#takeWord("between") ? this.#between(column) : null;
    if (found !== null) return not ? (row) => negate(found(row)) : found;
    if (not) throw this.#wrong();
    const operator = this.#tokens[this.#next]?.text ?? "";
    const holds = COMPARISONS[operator];
    if (holds === undefined) throw this.#wrong();
    this.#next++;
    const value = this.#literal();
    return (row) => test(row(column), value, holds);
  }

  #list(column: string): Predicate {
    this.#expect("(");
    const values = [this.#literal()];
    while (this.#take(",")) values.push(this.#literal());
    this.#expect(")");
    return (row) => {
      const value = row(column);
      return value === null ? null : values.some((one) => compare(value, one) === 0);
    };
  }

  #between(column: string): Predicate {
    const low = this.#literal();
    if (!this.#takeWord("and")) throw this.#wrong();
    const high = this.#literal();
    return (row) => {
      const value = row(column);
      return value === null ? null : compare(value, low) >= 0 && compare(value, high) <= 0;
    };
  }

  #column(): string {
    const token = this.#tokens[this.#next];
    if (token === undefined || !/^[A-Za-z_]/.test(token.text)) throw this.#wrong();
    if (!this.columns.includes(token.text)) {
      throw new PipelineError("usage", `--where names an unknown column${suggestion(token.text, this.columns)}`, {
        expected: this.columns.join(" "),
        received: token.text,
      });
    }
    this.#next++;
    return token.text;
  }

  #literal(): number | bigint | string {
    const text = this.#tokens[this.#next]?.text ?? "";
    if (text.startsWith("'")) {
      this.#next++;
      return text.slice(1, -1).replaceAll("''", "'");
    }
    if (!/^-?\d/.test(text)) throw this.#wrong();
    this.#next++;
    const number = Number(text);
    return /^-?\d+$/.test(text) && !Number.isSafeInteger(number) ? BigInt(text) : number;
  }

  #take(text: string): boolean {
    if (this.#tokens[this.#next]?.text !== text) return false;
    this.#next++;
    return true;
  }

  #takeWord(word: string): boolean {
    if (this.#tokens[this.#next]?.text.toLowerCase() !== word) return false;
    this.#next++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw this.#wrong();
  }

  #wrong(at = this.#tokens[this.#next]?.at ?? this.text.length): PipelineError {
    return new PipelineError("usage", "--where cannot be read", {
      expected: "as crop_2020 in (1, 5) and area_ha > 10",
      received: this.text,
      from: this.text.slice(at).trim() || "its end",
    });
  }
}

function negate(value: boolean | null): boolean | null {
  return value === null ? null : !value;
}

function and(a: Predicate, b: Predicate): Predicate {
  return (row) => {
    const [x, y] = [a(row), b(row)];
    return x === false || y === false ? false : x === null || y === null ? null : true;
  };
}

function or(a: Predicate, b: Predicate): Predicate {
  return (row) => {
    const [x, y] = [a(row), b(row)];
    return x === true || y === true ? true : x === null || y === null ? null : false;
  };
}

function test(value: Value, literal: number | bigint | string, holds: (order: number) => boolean): boolean | null {
  return value === null ? null : holds(compare(value, literal));
}

/** Numbers by size, texts by their characters; a number and a text as texts. NaN for numbers that are none. */
function compare(a: number | bigint | string, b: number | bigint | string): number {
  if (typeof a !== "string" && typeof b !== "string") return a < b ? -1 : Number(a > b);
  const [x, y] = [String(a), String(b)];
  return x < y ? -1 : Number(x > y);
}
