import type { AreaUnit } from "./numbers.js";

/** The page's state; every part of the page draws itself from it. */
export interface State {
  readonly year: number;
  /** Feature id of the selected field. */
  readonly row: number | undefined;
  /** The isolated crop. */
  readonly isolated: number | undefined;
  readonly hidden: ReadonlySet<number>;
  readonly safe: boolean;
  readonly unit: AreaUnit;
  readonly playing: boolean;
  /** The selected area: a place's id, or corners; see areaText. */
  readonly area: string | undefined;
}

type Listener = (state: State, before: State) => void;

/** The state and its listeners, in the order of subscription. */
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

/** Whether a crop is drawn in its color. */
export function isShown({ isolated, hidden }: Pick<State, "isolated" | "hidden">, code: number): boolean {
  return isolated === undefined ? !hidden.has(code) : code === isolated;
}
