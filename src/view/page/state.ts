import type { AreaUnit } from "./numbers.js";

/** What the page shows; every part of it draws itself from this. */
export interface State {
  readonly year: number;
  /** Feature id of the field that is looked at. */
  readonly row: number | undefined;
  /** The one crop that is shown. */
  readonly isolated: number | undefined;
  readonly hidden: ReadonlySet<number>;
  readonly safe: boolean;
  readonly unit: AreaUnit;
  readonly playing: boolean;
  /** The area that is asked for: a place's id, or corners; see areaText. */
  readonly area: string | undefined;
}

type Listener = (state: State, before: State) => void;

/** The state and those who want to hear of its changes, in the order they came. */
export class StateStore {
  readonly #listeners: Listener[] = [];

  constructor(private state: State) {}

  get now(): State {
    return this.state;
  }

  set(change: Partial<State>): void {
    const before = this.state;
    this.state = { ...before, ...change };
    for (const listener of this.#listeners) listener(this.state, before);
  }

  onChange(listener: Listener): void {
    this.#listeners.push(listener);
  }
}

/** Whether a crop is drawn in its colour. */
export function isShown({ isolated, hidden }: Pick<State, "isolated" | "hidden">, code: number): boolean {
  return isolated === undefined ? !hidden.has(code) : code === isolated;
}
