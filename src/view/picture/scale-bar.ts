import type { SKRSContext2D } from "@napi-rs/canvas";
import { type Frame, metersPerPixel } from "./frame.js";
import type { Lettering } from "./lettering.js";

/** A round length: 1, 2 or 5 times a power of ten. */
export interface ScaleLength {
  readonly meters: number;
  readonly label: string;
}

/** The longest round length that is at most `meters`. */
export function scaleLength(meters: number): ScaleLength {
  const power = 10 ** Math.floor(Math.log10(meters));
  const length = ([5, 2].find((step) => step * power <= meters) ?? 1) * power;
  return { meters: length, label: length >= 1000 ? `${length / 1000} km` : `${length} m` };
}

/** Draw a scale bar, true for the middle of the map, in its southwestern corner. */
export function drawScaleBar(
  pen: SKRSContext2D,
  lettering: Lettering,
  frame: Frame,
  map: { readonly x: number; readonly y: number },
): void {
  const { unit } = lettering;
  const metersAPixel = metersPerPixel(frame, frame.height / 2);
  const { meters, label } = scaleLength((frame.width / 5) * metersAPixel);
  const length = meters / metersAPixel;
  const style = { size: 13, color: lettering.theme.strong, align: "center" } as const;
  const plate = { width: Math.max(length, lettering.width(label, style)) + 24 * unit, height: 36 * unit };
  const [x, y] = [map.x + 14 * unit, map.y + frame.height - 14 * unit - plate.height];
  pen.fillStyle = lettering.theme.plate;
  pen.beginPath();
  pen.roundRect(x, y, plate.width, plate.height, 4 * unit);
  pen.fill();
  const [middle, base] = [x + plate.width / 2, y + plate.height - 10 * unit];
  pen.strokeStyle = lettering.theme.strong;
  pen.lineWidth = 1.5 * unit;
  pen.beginPath();
  pen.moveTo(middle - length / 2, base - 5 * unit);
  pen.lineTo(middle - length / 2, base);
  pen.lineTo(middle + length / 2, base);
  pen.lineTo(middle + length / 2, base - 5 * unit);
  pen.stroke();
  lettering.write(label, middle, base - 8 * unit, style);
}
