/** Told how far a task is; draws a bar on a terminal, else logs a line every 10 s. */
export interface Progress {
  /**
   * Begin a task.
   *
   * @param label  what is counted, as in "fields burned".
   * @param total  how many there are in all; undefined when unknown.
   * @param from  how many were done before; rate and remaining time are of the rest.
   */
  start(label: string, total?: number, from?: number): Task;
}

export interface Task {
  /** `done` so far, in the unit of the label; never beyond total. */
  update(done: number): void;
  end(): void;
}

/** Progress that says nothing; for library use and tests. */
export const SILENT: Progress = { start: () => ({ update() {}, end() {} }) };
