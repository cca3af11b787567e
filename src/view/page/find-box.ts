import type { ViewerFound, ViewerPlace } from "../viewer-api.js";
import { type LngLat, parseCoordinates } from "./coordinates.js";
import { announce, byId, make } from "./dom.js";
import type { Box } from "./graticule.js";
import { placesNamed } from "./place-names.js";
import { fetchFound, fetchPlaces } from "./server-data.js";

const RESULTS = 7;

export interface FindActions {
  readonly toCoordinates: (place: LngLat) => void;
  readonly toPlace: (place: ViewerPlace) => void;
  readonly toField: (field: ViewerFound["fields"][number]) => void;
}

interface Result {
  readonly text: string;
  readonly kind: string;
  readonly go: () => void;
}

/** Finds coordinates, states and counties by name, and fields by id. */
export class FindBox {
  readonly #input = byId<HTMLInputElement>("find-text");
  readonly #list = byId("found");
  #places: Promise<readonly ViewerPlace[]> | undefined;
  /** Counts searches; a stale answer is dropped. */
  #asked = 0;

  /** @param withIds  whether the server can find fields by id. */
  constructor(
    private readonly near: Box,
    private readonly withIds: () => boolean,
    private readonly actions: FindActions,
  ) {
    const form = byId("find");
    this.#input.addEventListener("input", () => void this.#show());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#goToFirst();
    });
    form.addEventListener("keydown", (event) => this.#step(event));
    form.addEventListener("focusout", ({ relatedTarget }) => {
      if (!(relatedTarget instanceof Node && form.contains(relatedTarget))) this.#clear();
    });
  }

  async #show(): Promise<Result[]> {
    const asked = ++this.#asked;
    const results = await this.#results(this.#input.value.trim());
    if (asked !== this.#asked) return results;
    this.#list.replaceChildren(
      ...results.map(({ text, kind, go }) => {
        const button = make(
          "button",
          { type: "button" },
          make("span", { class: "name" }, text),
          make("small", {}, kind),
        );
        button.addEventListener("click", () => this.#go({ text, kind, go }));
        return make("li", {}, button);
      }),
    );
    this.#list.hidden = results.length === 0;
    return results;
  }

  async #results(text: string): Promise<Result[]> {
    if (text === "") return [];
    const place = parseCoordinates(text, this.near);
    if (place !== undefined) {
      const { lat, lng } = place;
      const name = `${Math.abs(lat).toFixed(4)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lng).toFixed(4)}° ${lng < 0 ? "W" : "E"}`;
      return [{ text: name, kind: "coordinates", go: () => this.actions.toCoordinates(place) }];
    }
    this.#places ??= fetchPlaces().catch(() => []);
    const [places, found] = await Promise.all([
      this.#places,
      this.withIds() && !/\s/.test(text) ? fetchFound(text).catch(() => undefined) : undefined,
    ]);
    const fields = (found?.fields ?? []).map(
      (field): Result => ({
        text: `Field ${text}`,
        kind: "field",
        go: () => this.actions.toField(field),
      }),
    );
    const named = placesNamed(places, text, RESULTS - fields.length).map(
      (known): Result => ({
        text: known.name,
        kind: known.id.length === 2 ? "state" : "county",
        go: () => this.actions.toPlace(known),
      }),
    );
    return [...fields, ...named];
  }

  async #goToFirst(): Promise<void> {
    const [first] = await this.#show();
    if (first !== undefined) this.#go(first);
    else if (this.#input.value.trim() !== "") {
      const what = this.withIds() ? "place, coordinates or field" : "place or coordinates";
      this.#list.replaceChildren(make("li", { class: "nothing" }, `No such ${what}.`));
      this.#list.hidden = false;
      announce(`No such ${what}`);
    }
  }

  #go({ text, go }: Result): void {
    this.#input.value = text;
    this.#clear();
    go();
    announce(text);
  }

  #clear(): void {
    this.#asked++;
    this.#list.hidden = true;
    this.#list.replaceChildren();
  }

  /** Up and down move between results, Escape closes the list. */
  #step(event: KeyboardEvent): void {
    if (event.key === "Escape" && !this.#list.hidden) {
      event.stopPropagation();
      this.#clear();
      this.#input.focus();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const stops: HTMLElement[] = [this.#input, ...this.#list.querySelectorAll("button")];
    stops[stops.indexOf(document.activeElement as HTMLElement) + step]?.focus();
  }
}
