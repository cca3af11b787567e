import { type CropColours, isDoubleCrop } from "./crop-colours.js";
import { byId, chip, make } from "./dom.js";
import { hectaresText } from "./numbers.js";
import type { YearMap } from "./year-map.js";

const OFFSET = 14;

/** Name of the crop at the pointer, and the field's outline. Fingers have no pointer: they tap. */
export function followPointer(map: YearMap, colours: () => CropColours): void {
  const tip = byId("tip");
  let frame: number | undefined;
  const leave = () => {
    if (frame !== undefined) cancelAnimationFrame(frame);
    tip.hidden = true;
    map.mark("hover", undefined);
    map.view.getCanvas().style.cursor = "";
  };
  map.view.on("mousemove", ({ point, originalEvent }) => {
    if (frame !== undefined) cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      const feature = originalEvent.buttons === 0 ? map.fieldAt(point) : undefined;
      if (feature === undefined) return leave();
      map.view.getCanvas().style.cursor = "pointer";
      map.mark("hover", typeof feature.id === "number" ? feature.id : undefined);
      const code = map.cropOf(feature);
      const name = code === undefined ? map.nameOfNone : colours().nameOf(code);
      const area: unknown = feature.properties.area_ha;
      tip.replaceChildren(
        chip(code === undefined ? undefined : colours().colourOf(code), isDoubleCrop(name)),
        make("span", {}, name),
        make("span", { class: "value" }, typeof area === "number" ? hectaresText(area) : ""),
      );
      tip.hidden = false;
      // Where there is no room it goes to the pointer's other side.
      const { clientWidth, clientHeight } = map.view.getContainer();
      const left =
        point.x + OFFSET + tip.offsetWidth > clientWidth ? point.x - OFFSET - tip.offsetWidth : point.x + OFFSET;
      const top =
        point.y + OFFSET + tip.offsetHeight > clientHeight ? point.y - OFFSET - tip.offsetHeight : point.y + OFFSET;
      tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
    });
  });
  map.view.on("mouseout", leave);
  map.view.on("movestart", leave);
}
