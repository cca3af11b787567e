import type { Map as MapView } from "maplibre-gl";
import type { Ring } from "./area-text.js";

/**
 * Let the user draw on the map: a box by two clicks, a polygon by its corners, with mouse or finger.
 *
 * @param signal  cancels the drawing.
 * @returns the ring, not closed; undefined if it was canceled.
 */
export async function drawArea(
  view: MapView,
  shape: "box" | "polygon",
  signal: AbortSignal,
): Promise<Ring | undefined> {
  const [{ TerraDraw, TerraDrawPolygonMode, TerraDrawRectangleMode }, { TerraDrawMapLibreGLAdapter }] =
    await Promise.all([import("terra-draw"), import("terra-draw-maplibre-gl-adapter")]);
  if (signal.aborted) return undefined;
  const styles = { fillColor: "#0b62c4", fillOpacity: 0.12, outlineColor: "#0b62c4", outlineWidth: 3 } as const;
  const draw = new TerraDraw({
    adapter: new TerraDrawMapLibreGLAdapter({ map: view }),
    modes: [new TerraDrawRectangleMode({ styles }), new TerraDrawPolygonMode({ styles })],
  });
  draw.start();
  draw.setMode(shape === "box" ? "rectangle" : "polygon");
  const ring = await new Promise<Ring | undefined>((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined));
    draw.on("finish", (id) => {
      const geometry = draw.getSnapshotFeature(id)?.geometry;
      const corners = geometry?.type === "Polygon" ? (geometry.coordinates[0] as [number, number][]) : undefined;
      resolve(corners?.slice(0, -1));
    });
  });
  // During the event, the library still uses the drawn shape.
  await new Promise((resolve) => setTimeout(resolve));
  draw.stop();
  return ring;
}
