import type { ViewerPlace } from "../viewer-api.js";

/** Two letters by FIPS code. */
const STATES: Readonly<Record<string, string>> = {
  "01": "AL",
  "02": "AK",
  "04": "AZ",
  "05": "AR",
  "06": "CA",
  "08": "CO",
  "09": "CT",
  "10": "DE",
  "11": "DC",
  "12": "FL",
  "13": "GA",
  "15": "HI",
  "16": "ID",
  "17": "IL",
  "18": "IN",
  "19": "IA",
  "20": "KS",
  "21": "KY",
  "22": "LA",
  "23": "ME",
  "24": "MD",
  "25": "MA",
  "26": "MI",
  "27": "MN",
  "28": "MS",
  "29": "MO",
  "30": "MT",
  "31": "NE",
  "32": "NV",
  "33": "NH",
  "34": "NJ",
  "35": "NM",
  "36": "NY",
  "37": "NC",
  "38": "ND",
  "39": "OH",
  "40": "OK",
  "41": "OR",
  "42": "PA",
  "44": "RI",
  "45": "SC",
  "46": "SD",
  "47": "TN",
  "48": "TX",
  "49": "UT",
  "50": "VT",
  "51": "VA",
  "53": "WA",
  "54": "WV",
  "55": "WI",
  "56": "WY",
};

/** Words that people omit. */
const KINDS = new Set(["county", "parish", "borough", "co"]);

/**
 * States and counties whose name has every word of the text, or begins with it: `riley`, `Riley County, Kansas`,
 * `riley ks`. Whole names come first, states before counties.
 */
export function placesNamed(places: readonly ViewerPlace[], text: string, limit: number): ViewerPlace[] {
  const wanted = wordsOf(text).filter((word) => !KINDS.has(word));
  if (wanted.length === 0) return [];
  const scored = places.flatMap((place) => {
    const words = [...wordsOf(place.name), STATES[place.id.slice(0, 2)]?.toLowerCase() ?? ""];
    const fits = wanted.every((word) =>
      words.some((known) => known === word || (word.length > 2 && known.startsWith(word))),
    );
    if (!fits) return [];
    // `Washington` is the state, then the counties of that name, then the counties of that state.
    const exact = wanted.every((word) => words.includes(word));
    const begins = words[0] === wanted[0] || (words[0] ?? "").startsWith(wanted[0] as string);
    return [{ place, score: (exact ? 0 : 4) + (begins ? 0 : 2) + (place.id.length === 2 ? 0 : 1) }];
  });
  return scored
    .sort((a, b) => a.score - b.score || a.place.name.localeCompare(b.place.name))
    .slice(0, limit)
    .map(({ place }) => place);
}

function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .normalize("NFD")
    .replaceAll(/\p{M}/gu, "")
    .split(/[^a-z0-9]+/)
    .filter(Boolean);
}
