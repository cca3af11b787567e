// What of the viewer's page works without a browser: links, rotations, colors, scales.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { CDL_LEGEND } from "../../dist/legend/cdl-legend.js";
import { parseCoordinates } from "../../dist/view/page/coordinates.js";
import { CropColors, GRAY, isDoubleCrop, SAFE, UNNAMED } from "../../dist/view/page/crop-colors.js";
import { graticule } from "../../dist/view/page/graticule.js";
import { formatLink, parseLink } from "../../dist/view/page/link.js";
import { areaText, percentText } from "../../dist/view/page/numbers.js";
import { placesNamed } from "../../dist/view/page/place-names.js";
import { besidePointer } from "../../dist/view/page/pointer.js";
import { rotationOf, rotationText } from "../../dist/view/page/rotation.js";
import { niceScale } from "../../dist/view/page/scale.js";
import { UsAtlas } from "../../dist/view/server/atlas.js";

test("a link holds the view to half a pixel, and comes back as it was", () => {
  const place = fc.record({
    year: fc.integer({ min: 1997, max: 2100 }),
    zoom: fc.double({ min: 0, max: 22, noNaN: true }),
    lat: fc.double({ min: -85, max: 85, noNaN: true }),
    lng: fc.double({ min: -180, max: 180, noNaN: true }),
    row: fc.option(fc.integer({ min: 0, max: 29_100_000 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(place, (before) => {
      const text = formatLink(before);
      const after = parseLink(text);
      assert.equal(after.year, before.year);
      assert.equal(after.row, before.row);
      assert.ok(Math.abs(after.zoom - before.zoom) <= 0.005 + 1e-9);
      const pixels = (512 * 2 ** before.zoom) / 360;
      assert.ok(Math.abs(after.lng - before.lng) * pixels <= 0.5, text);
      assert.ok(Math.abs(after.lat - before.lat) * pixels <= 0.5, text);
      assert.deepEqual(parseLink(formatLink(after)), after);
    }),
    { seed: 1, numRuns: 500 },
  );
  for (const text of [
    "",
    "#",
    "#2020",
    "#2020/1/2",
    "#20200/1/2/3",
    "#2020/1/2/3/x",
    "#2020/99/2/3",
    "#2020/1/99/3",
    "#2020/1/2/999",
    "#2020/1/2/3/4/5",
    "#2020/1e1/2/3",
  ]) {
    assert.equal(parseLink(text), undefined, text);
  }
});

const history = (codes, from = 2010) => codes.map((code, i) => ({ year: from + i, code }));

test("rotations: the shortest pattern that at least four years of five keep to", () => {
  const [corn, soy, wheat, hay] = [1, 5, 24, 37];
  const cases = [
    [[], { kind: "none" }],
    [[null, null], { kind: "none" }],
    [[corn], { kind: "same", code: corn, years: 1 }],
    [[corn, null, corn], { kind: "same", code: corn, years: 2 }],
    [[corn, soy, corn, soy], { kind: "cycle", codes: [corn, soy], agreeing: 4, years: 4 }],
    [[corn, soy, null, soy, corn, soy], { kind: "cycle", codes: [corn, soy], agreeing: 5, years: 5 }],
    [[corn, soy, corn, soy, corn, corn], { kind: "cycle", codes: [corn, soy], agreeing: 5, years: 6 }],
    [[corn, soy, wheat, corn, soy, wheat, corn], { kind: "cycle", codes: [corn, soy, wheat], agreeing: 7, years: 7 }],
    [
      [corn, corn, soy, soy, corn, corn, soy, soy],
      { kind: "cycle", codes: [corn, corn, soy, soy], agreeing: 8, years: 8 },
    ],
    [
      [hay, hay, hay, hay, corn, hay, hay, hay, hay, corn],
      { kind: "cycle", codes: [hay, hay, hay, hay, corn], agreeing: 10, years: 10 },
    ],
    // One crop nearly always, and another here and there, is no rotation.
    [
      [hay, hay, hay, corn, hay, hay, hay, hay, hay, corn, hay],
      { kind: "mixed", crops: 2, most: hay, times: 9, years: 11 },
    ],
    // Twice is the least: three years of two crops are no rotation.
    [[corn, soy, corn], { kind: "mixed", crops: 2, most: corn, times: 2, years: 3 }],
    [[corn, soy, wheat, hay, corn, wheat], { kind: "mixed", crops: 4, most: corn, times: 2, years: 6 }],
    [[corn, corn, corn, corn, soy], { kind: "mixed", crops: 2, most: corn, times: 4, years: 5 }],
  ];
  for (const [codes, expected] of cases) assert.deepEqual(rotationOf(history(codes)), expected, codes.join());
  // A year that is left out is unknown, not closed up.
  const gap = history([corn, soy, corn, soy, corn, soy]).filter(({ year }) => year !== 2012);
  assert.deepEqual(rotationOf(gap), { kind: "cycle", codes: [corn, soy], agreeing: 5, years: 5 });
  const name = (code) => CDL_LEGEND.find((entry) => entry.code === code).name;
  assert.equal(rotationText(rotationOf(history([1, 5, 1, 5])), name), "Rotation: Corn → Soybeans, without exception.");
  assert.match(rotationText(rotationOf(history([1, 5, 1, 5, 1, 1])), name), /in 5 of 6 years/);
  assert.equal(rotationText(rotationOf(history([1, 1])), name), "Corn in all 2 years.");
});

test("every code has USDA's name and color; others are gray; the safe palette is for the first nine", () => {
  const ranking = [1, 5, 24, 2, 61, 36, 4, 37, 26, 6];
  const usda = new CropColors({ legend: CDL_LEGEND, safe: false, ranking });
  for (const { code, name, color } of CDL_LEGEND)
    assert.deepEqual([usda.nameOf(code), usda.colorOf(code)], [name, color]);
  assert.deepEqual([usda.nameOf(251), usda.colorOf(251)], ["Code 251", GRAY]);
  const safe = new CropColors({ legend: CDL_LEGEND, safe: true, ranking });
  assert.deepEqual(
    ranking.map((code) => safe.colorOf(code)),
    [...SAFE, GRAY],
  );
  assert.equal(safe.colorOf(204), GRAY);
  assert.equal(CDL_LEGEND.filter(({ name }) => isDoubleCrop(name)).length, usda.doubleCrops.length);
  assert.ok(usda.doubleCrops.includes(26) && usda.doubleCrops.includes(254) && !usda.doubleCrops.includes(1));
});

test("the map's fill has one rule for every code, and one for the rest", () => {
  const colors = new CropColors({ legend: CDL_LEGEND, safe: false, ranking: [] });
  for (const shown of [() => true, (code) => code === 1, (code) => code !== 5 && code !== UNNAMED]) {
    const [, has, match, none] = colors.fill("crop_2018", shown, "#faded0");
    assert.deepEqual(
      [has, match.slice(0, 2), none],
      [["has", "crop_2018"], ["match", ["get", "crop_2018"]], "rgba(0, 0, 0, 0)"],
    );
    const table = new Map();
    for (let i = 2; i < match.length - 1; i += 2) {
      for (const code of match[i]) {
        assert.ok(!table.has(code), `${code} twice`);
        table.set(code, match[i + 1]);
      }
    }
    for (const { code, color } of CDL_LEGEND) assert.equal(table.get(code), shown(code) ? color : "#faded0");
    assert.equal(match.at(-1), shown(UNNAMED) ? GRAY : "#faded0");
  }
});

test("no crop's color is lost in the ground, on light screens and on dark ones", () => {
  const css = readFileSync(new URL("../../src/view/page/style.css", import.meta.url), "utf8");
  const grounds = [...css.matchAll(/--(ground|fabric): (#[0-9a-f]{6})/g)].map(([, kind, shade]) => ({ kind, shade }));
  assert.equal(grounds.length, 4);
  // Water, ice, clouds are no crops: they may look like ground.
  const crops = CDL_LEGEND.filter(({ code }) => ![0, 81, 82, 83, 88, 111, 112, 121, 122, 123, 124].includes(code));
  for (const { kind, shade } of grounds) {
    for (const { name, color } of [...crops, ...SAFE.map((color) => ({ name: "safe palette", color }))]) {
      const least = kind === "ground" ? 10 : 7;
      assert.ok(
        difference(lab(shade), lab(color)) > least,
        `${name} ${color} on ${kind} ${shade}: ${difference(lab(shade), lab(color))}`,
      );
    }
  }
});

/** sRGB to CIE L*a*b* under D65. */
function lab(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  const f = (t) => (t > 216 / 24389 ? Math.cbrt(t) : ((24389 / 27) * t + 16) / 116);
  const [x, y, z] = [
    f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047),
    f(0.2126729 * r + 0.7151522 * g + 0.072175 * b),
    f((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / 1.08883),
  ];
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** CIE76: stricter than CIEDE2000 among pale colors is not needed; it only has to tell them from the ground. */
function difference(a, b) {
  return Math.hypot(...a.map((value, i) => value - b[i]));
}

test("numbers as people read them", () => {
  assert.deepEqual([0.412, 0.0994, 0.0995, 0.0432, 0.0004].map(percentText), [
    "41 %",
    "9.9 %",
    "10 %",
    "4.3 %",
    "< 0.1 %",
  ]);
  assert.deepEqual(
    [0.123, 31.66, 115.2, 9120.25, 61671.9, 1_234_567].map((area) => areaText(area, "ha")),
    ["0.12 ha", "31.7 ha", "115 ha", "9,120 ha", "61,700 ha", "1.23 M ha"],
  );
  assert.deepEqual(
    [0.123, 40.4686, 500_000].map((area) => areaText(area, "acres")),
    ["0.3 acres", "100 acres", "1.24 M acres"],
  );
});

test("the name at the pointer stays on the map, wherever the pointer is", () => {
  for (const room of [120, 360, 1280]) {
    for (let pointer = 0; pointer <= room; pointer++) {
      const start = besidePointer(pointer, 100, room);
      assert.ok(start >= 8 && start + 100 <= Math.max(room - 8, 108), `${pointer} of ${room}: ${start}`);
    }
  }
});

test("coordinates in any usual form", () => {
  const near = { west: -98, east: -96, south: 38, north: 40 };
  const place = { lat: 39.5, lng: -97.25 };
  for (const text of [
    "39.5, -97.25",
    "39.5 -97.25",
    "-97.25, 39.5",
    "39.5N 97.25W",
    "39.5° N, 97.25° W",
    "N 39.5 W 97.25",
    "97.25 W, 39.5 N",
    "39°30'00\"N 97°15'0\"W",
    "39° 30′ N, 97° 15′ W",
    "39 30 0 N 97 15 0 W",
    "39 30 N, 97 15 W",
    "39 30 0 -97 15 0",
    "lat: 39.5, lon: -97.25",
    "geo:39.5,-97.25",
    "(39.5, -97.25)",
    "@39.5,-97.25",
  ])
    assert.deepEqual(parseCoordinates(text, near), place, text);
  assert.deepEqual(parseCoordinates("-33.9 18.4", near), { lat: -33.9, lng: 18.4 });
  assert.deepEqual(parseCoordinates("0 0", near), { lat: 0, lng: 0 });
  for (const text of [
    "",
    "39.5",
    "39.5, -97.25, 12",
    "95, 195",
    "39.5 N 97.25 N",
    "39 75 N 97 15 W",
    "Riley County",
    "12 Main St 4",
    "39.5N",
    "20001000010",
  ])
    assert.equal(parseCoordinates(text, near), undefined, text);
});

test("states and counties by name, as people type them", () => {
  const places = new UsAtlas().places();
  const first = (text) => placesNamed(places, text, 7)[0]?.name;
  for (const [text, name] of [
    ["kansas", "Kansas"],
    ["Riley County, Kansas", "Riley County, Kansas"],
    ["riley ks", "Riley County, Kansas"],
    ["rile", "Riley County, Kansas"],
    ["washington", "Washington"],
    ["washington county kansas", "Washington County, Kansas"],
    ["dona ana", "Doña Ana County, New Mexico"],
    ["st. landry la", "St. Landry Parish, Louisiana"],
    ["new york", "New York"],
  ])
    assert.equal(first(text), name, text);
  assert.equal(placesNamed(places, "washington", 7).length, 7);
  assert.deepEqual(placesNamed(places, "xyzzy", 7), []);
  assert.deepEqual(placesNamed(places, "county", 7), []);
});

test("axes end on round values above the largest, and the graticule's lines are few and named", () => {
  for (const largest of [0.3, 1, 7, 999, 1000, 61_671, 163_402, 37_000_000]) {
    const { end, values } = niceScale(largest);
    assert.ok(end >= largest && end < 1.6 * largest, `${largest}: ${end}`);
    assert.ok(
      values.length >= 3 && values.length <= 6 && values[0] === 0 && Math.abs(values.at(-1) - end) < 1e-9 * end,
    );
  }
  assert.deepEqual(niceScale(0), { end: 1, values: [0] });
  for (const wide of [60, 5, 0.7, 0.02]) {
    const { features } = graticule({ west: -97.31, east: -97.31 + wide, south: 39.02, north: 39.02 + wide / 2 });
    const names = features
      .filter(({ geometry }) => geometry.type === "Point")
      .map(({ properties }) => properties.label);
    assert.ok(names.length >= 3 && names.length <= 24, `${wide}: ${names}`);
    assert.ok(
      names.every((name) => /^\d+(\.\d+)?°( [NSEW])?$/.test(name)) && new Set(names).size === names.length,
      names.join(),
    );
  }
});
