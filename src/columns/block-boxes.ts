/** An empty box. */
const EMPTY = [2 ** 32 - 1, 2 ** 32 - 1, 0, 0] as const;

export function emptyBoxes(blocks: number): Uint32Array {
  return Uint32Array.from({ length: 4 * blocks }, (_, i) => EMPTY[i & 3] as number);
}

export function growBoxes(boxes: Uint32Array, other: Uint32Array): void {
  for (let i = 0; i < boxes.length; i++) {
    boxes[i] =
      (i & 3) < 2 ? Math.min(boxes[i] as number, other[i] as number) : Math.max(boxes[i] as number, other[i] as number);
  }
}
