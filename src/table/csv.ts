import { type FileHandle, open } from "node:fs/promises";

export type CsvValue = string | number | bigint | null;

/** Text collected before it is written. */
const WRITE_CHARS = 2 ** 20;

/**
 * Writes CSV as RFC 4180 has it: a header line, CRLF at the end of every line, quotes around
 * what holds a comma, a quote or a line break. Null is empty. Nothing is synced to disk.
 */
export class CsvWriter {
  #text: string;

  private constructor(
    private readonly file: FileHandle,
    header: readonly string[],
  ) {
    this.#text = csvLine(header);
  }

  static async open(path: string, header: readonly string[]): Promise<CsvWriter> {
    return new CsvWriter(await open(path, "w"), header);
  }

  async write(values: readonly CsvValue[]): Promise<void> {
    this.#text += csvLine(values);
    if (this.#text.length >= WRITE_CHARS) await this.#flush();
  }

  /** Must be called, also after an error. */
  async close(): Promise<void> {
    try {
      await this.#flush();
    } finally {
      await this.file.close();
    }
  }

  async #flush(): Promise<void> {
    const text = this.#text;
    this.#text = "";
    await this.file.appendFile(text);
  }
}

function csvLine(values: readonly CsvValue[]): string {
  return `${values.map(csvField).join(",")}\r\n`;
}

function csvField(value: CsvValue): string {
  if (typeof value !== "string") return value === null ? "" : String(value);
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}
