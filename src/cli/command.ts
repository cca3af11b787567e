import type { OptionName, Options } from "../config/options.js";

/** What one command takes. */
export interface Command {
  /** As typed: `node dist/year.js`. */
  readonly name: string;
  readonly summary: string;
  /** Positional arguments, for the usage line: `YEAR`. */
  readonly positionals?: string;
  /** Options out of the common table that mean something here. */
  readonly options: readonly OptionName[];
  /** Defaults of this command that differ from the common table. */
  readonly defaults?: Partial<Options>;
  /** Takes the options that the root was made with; `keep`: and keeps those that it is given. */
  readonly rootOptions?: "use" | "keep";
  /** Options of this command alone, by flag. */
  readonly own?: Readonly<
    Record<string, { readonly type: "string" | "boolean"; readonly multiple?: boolean; readonly help: string }>
  >;
  readonly examples: readonly string[];
}

export interface Arguments {
  readonly options: Options;
  /** Options of the command line and of the configuration file alone. */
  readonly given: Partial<Options>;
  readonly positionals: readonly string[];
  /** The command's own options, as typed; lists where `multiple`. */
  readonly own: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;
}
