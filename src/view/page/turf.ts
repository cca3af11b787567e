type Turf = typeof import("@turf/turf");

let loading: Promise<Turf> | undefined;

/** Turf, loaded at first use because it is as large as the map library. */
export function loadTurf(): Promise<Turf> {
  loading ??= new Promise<Turf>((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "vendor/turf.js";
    script.addEventListener("load", () => resolve((globalThis as unknown as { readonly turf: Turf }).turf));
    script.addEventListener("error", () => reject(new Error("The library for outlines cannot be loaded")));
    document.head.append(script);
  });
  return loading;
}
