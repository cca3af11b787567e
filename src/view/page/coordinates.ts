import type { Box } from "./graticule.js";

/** A place on the map, degrees. */
export interface LngLat {
  readonly lng: number;
  readonly lat: number;
}

/** Words around numbers that can be ignored. */
const WORDS = /\b(?:geo|lat(?:itude)?|lng|lon(?:gitude)?|degrees?|deg|min|sec)\b|[°º′’'″”"():=@;/]/gi;

/**
 * Coordinates as people write them: `39.17, -97.17`, `39.17 N 97.17 W`, `39°10'12"N, 97°10'12"W`, `N39 10.2 W97 10.2`,
 * `geo:39.17,-97.17`. Without letters, latitude comes first, unless only the other order is in `near`, or on the earth.
 *
 * @returns undefined if the text is not a coordinate pair.
 */
export function parseCoordinates(text: string, near: Box): LngLat | undefined {
  const tokens =
    text
      .replace(WORDS, " ")
      .replaceAll(",", " ")
      .toUpperCase()
      .match(/[NSEW]|[+-]?\d+(?:\.\d+)?|\S/g) ?? [];
  const letters = tokens.filter((token) => /^[NSEW]$/.test(token));
  const numbers = tokens.filter((token) => /\d/.test(token)).map(Number);
  if (letters.length + numbers.length !== tokens.length || ![0, 2].includes(letters.length)) return undefined;
  if (![2, 4, 6].includes(numbers.length)) return undefined;
  const half = numbers.length / 2;
  const [first, second] = [angle(numbers.slice(0, half)), angle(numbers.slice(half))];
  if (first === undefined || second === undefined) return undefined;
  if (letters.length === 2) return byLetters(letters as [string, string], first, second);
  const orders = [
    { lat: first, lng: second },
    { lat: second, lng: first },
  ].filter(({ lat, lng }) => Math.abs(lat) <= 90 && Math.abs(lng) <= 180);
  return orders.find((place) => isWithin(place, near)) ?? orders[0];
}

/** Decimal degrees from degrees, minutes and seconds. */
function angle([degrees = 0, minutes = 0, seconds = 0]: readonly number[]): number | undefined {
  if (minutes < 0 || minutes >= 60 || seconds < 0 || seconds >= 60) return undefined;
  const size = Math.abs(degrees) + minutes / 60 + seconds / 3600;
  return degrees < 0 || Object.is(degrees, -0) ? -size : size;
}

function byLetters([a, b]: [string, string], first: number, second: number): LngLat | undefined {
  const isLat = (letter: string) => letter === "N" || letter === "S";
  if (isLat(a) === isLat(b)) return undefined;
  const signed = (letter: string, value: number) => (letter === "S" || letter === "W" ? -Math.abs(value) : value);
  const [one, two] = [signed(a, first), signed(b, second)];
  const place = isLat(a) ? { lat: one, lng: two } : { lat: two, lng: one };
  return Math.abs(place.lat) <= 90 && Math.abs(place.lng) <= 180 ? place : undefined;
}

function isWithin({ lng, lat }: LngLat, { west, south, east, north }: Box): boolean {
  return lng >= west && lng <= east && lat >= south && lat <= north;
}
