/** The text and legend around the map in a saved picture. */
export interface PictureText {
  readonly title: string;
  readonly subtitle: string;
  readonly source: string;
  /** Largest first: `#rrggbb`, name, share as text. */
  readonly rows: readonly { readonly color: string; readonly name: string; readonly value: string }[];
  /** Length in CSS pixels, and its label. */
  readonly scale: { readonly width: number; readonly text: string };
  readonly colors: { readonly panel: string; readonly ink: string; readonly soft: string };
}

const PANEL = 250;
const MARGIN = 20;
const ROW = 24;

/** The map's canvas with year, legend, scale and source to its right. */
export function drawMapPicture(map: HTMLCanvasElement, text: PictureText): HTMLCanvasElement {
  const unit = map.width / map.clientWidth;
  const canvas = document.createElement("canvas");
  canvas.width = map.width + Math.round(PANEL * unit);
  canvas.height = map.height;
  const pen = canvas.getContext("2d");
  if (pen === null) throw new Error("This browser draws no pictures");
  const { panel, ink, soft } = text.colors;
  pen.fillStyle = panel;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(map, 0, 0);
  pen.scale(unit, unit);
  const [left, width, height] = [map.clientWidth + MARGIN, PANEL - 2 * MARGIN, map.clientHeight];
  const write = (line: string, x: number, y: number, font: string, color: string, align: CanvasTextAlign = "left") => {
    pen.font = `${font} system-ui, sans-serif`;
    pen.fillStyle = color;
    pen.textAlign = align;
    pen.fillText(line, x, y, width);
  };
  write(text.title, left, 52, "bold 36px", ink);
  write(text.subtitle, left, 76, "13px", soft);
  const room = Math.max(0, Math.floor((height - 100 - 90) / ROW));
  for (const [i, { color, name, value }] of text.rows.slice(0, room).entries()) {
    const y = 100 + i * ROW;
    pen.fillStyle = color;
    pen.fillRect(left, y, 14, 14);
    pen.font = "13px system-ui, sans-serif";
    pen.fillStyle = ink;
    pen.textAlign = "left";
    pen.fillText(name, left + 22, y + 12, width - 70);
    write(value, left + width, y + 12, "13px", soft, "right");
  }
  const base = height - 52;
  pen.strokeStyle = ink;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(left, base - 6);
  pen.lineTo(left, base);
  pen.lineTo(left + text.scale.width, base);
  pen.lineTo(left + text.scale.width, base - 6);
  pen.stroke();
  write(text.scale.text, left + 4, base - 8, "12px", ink);
  write(text.source, left, height - MARGIN, "12px", soft);
  return canvas;
}
