/** Download a file to the user. */
export function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function saveText(name: string, type: "text/csv" | "application/geo+json", text: string): void {
  save(name, new Blob([text], { type: `${type};charset=utf-8` }));
}

type Cell = string | number | null;

/** RFC 4180, with a header. */
export function csvText(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cell = (value: Cell) => {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [header, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** A text as part of a file name. */
export function asFileName(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9]+/g, "_").replaceAll(/^_|_$/g, "") || "area";
}
