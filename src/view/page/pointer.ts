import { type CropColors, isDoubleCrop } from "./crop-colors.js";
import { byId, chip, make } from "./dom.js";
import { type AreaUnit, areaText } from "./numbers.js";
import type { YearMap } from "./year-map.js";

const OFFSET = 14;
/** Pixels between the tooltip and the sides of the map. */
const MARGIN = 8;

/** The crop's name at the pointer, and the field's outline. Touch has no pointer: a tap opens the field. */
export function followPointer(map: YearMap, colors: () => CropColors, unit: () => AreaUnit): void {
  const tip = byId("tip");
  let frame: number | undefined;
  const leave = () => {
    if (frame !== undefined) cancelAnimationFrame(frame);
    tip.hidden = true;
    map.mark("hover", undefined);
    map.view.getCanvas().style.cursor = "";
  };
  // Browsers also send mouse events after a tap, but none when the finger is lifted.
  let isTouch = false;
  for (const type of ["pointerdown", "pointermove"] as const) {
    map.view.getCanvasContainer().addEventListener(
      type,
      ({ pointerType }) => {
        isTouch = pointerType === "touch";
        if (isTouch) leave();
      },
      { capture: true },
    );
  }
  map.view.on("mousemove", ({ point, originalEvent }) => {
    if (isTouch) return;
    if (frame !== undefined) cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      const feature = originalEvent.buttons === 0 ? map.fieldAt([point.x, point.y]) : undefined;
      if (feature === undefined) return leave();
      map.view.getCanvas().style.cursor = "pointer";
      map.mark("hover", feature.row);
      const { code, areaHa } = feature;
      const name = code === undefined ? map.nameOfNone : colors().nameOf(code);
      tip.replaceChildren(
        chip(code === undefined ? undefined : colors().colorOf(code), isDoubleCrop(name)),
        make("span", {}, name),
        make("span", { class: "value" }, areaHa === undefined ? "" : areaText(areaHa, unit())),
      );
      tip.hidden = false;
      const { clientWidth, clientHeight } = map.view.getContainer();
      const left = besidePointer(point.x, tip.offsetWidth, clientWidth);
      const top = besidePointer(point.y, tip.offsetHeight, clientHeight);
      tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
    });
  });
  map.view.on("mouseout", leave);
  map.view.on("movestart", leave);
}

/** Start of the tooltip: after the pointer, before it if there is no room, and always inside the map. */
export function besidePointer(pointer: number, size: number, room: number): number {
  const after = pointer + OFFSET;
  const start = after + size + MARGIN > room ? pointer - OFFSET - size : after;
  return Math.max(MARGIN, Math.min(start, room - size - MARGIN));
}
