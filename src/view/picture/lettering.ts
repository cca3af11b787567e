import type { SKRSContext2D } from "@napi-rs/canvas";
import type { PictureTheme } from "./theme.js";

export interface TextStyle {
  /** Line height, in pixels of a picture 1200 wide. */
  readonly size: number;
  readonly color?: string;
  readonly bold?: boolean;
  readonly align?: "left" | "right" | "center";
  /** Longer text ends in an ellipsis. Pixels of the picture. */
  readonly room?: number;
}

/** Writes on a canvas in one font family; sizes scale with the picture, so that it looks the same at any width. */
export class Lettering {
  constructor(
    private readonly pen: SKRSContext2D,
    private readonly family: string,
    /** Pixels of the picture per pixel of a picture 1200 wide. */
    readonly unit: number,
    readonly theme: PictureTheme,
  ) {}

  /** @param y  the baseline. */
  write(text: string, x: number, y: number, style: TextStyle): void {
    const { pen } = this;
    this.#use(style);
    pen.fillStyle = style.color ?? this.theme.plain;
    pen.textAlign = style.align ?? "left";
    pen.textBaseline = "alphabetic";
    pen.fillText(this.#shortened(text, style.room), x, y);
  }

  width(text: string, style: TextStyle): number {
    this.#use(style);
    return this.pen.measureText(text).width;
  }

  /** The text as lines that fit, broken at spaces. */
  lines(text: string, style: TextStyle, room: number): string[] {
    const lines: string[] = [];
    for (const word of text.split(/\s+/).filter(Boolean)) {
      const line = lines.at(-1);
      if (line !== undefined && this.width(`${line} ${word}`, style) <= room)
        lines[lines.length - 1] = `${line} ${word}`;
      else lines.push(word);
    }
    return lines;
  }

  #use({ size, bold }: TextStyle): void {
    this.pen.font = `${bold ? "bold " : ""}${size * this.unit}px "${this.family}"`;
  }

  #shortened(text: string, room = Infinity): string {
    if (this.pen.measureText(text).width <= room) return text;
    let kept = text.length - 1;
    while (kept > 0 && this.pen.measureText(`${text.slice(0, kept).trimEnd()}…`).width > room) kept--;
    return `${text.slice(0, kept).trimEnd()}…`;
  }
}
