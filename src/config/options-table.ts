import { flagName, OPTIONS, type OptionSpec } from "./options.js";

/** The options as the README's Markdown table; a test holds the two together. */
export function optionsTable(): string {
  const rows = Object.entries(OPTIONS as Record<string, OptionSpec>).map(([name, spec]) => {
    const choices = spec.choices ? ` (${spec.choices.join(", ")})` : "";
    return `| \`--${flagName(name)}\` | ${spec.help}${choices} | ${defaultText(spec)} |`;
  });
  return ["| option | meaning | default |", "|---|---|---|", ...rows].join("\n");
}

function defaultText({ default: value }: OptionSpec): string {
  if (value === undefined) return "";
  if (value === false) return "off";
  return `\`${Array.isArray(value) ? value.join(",") : value}\``;
}
