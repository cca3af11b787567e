// A step's context for tests: log lines are kept, progress is counted, the signal is the test's.
export function testContext(controller = new AbortController()) {
  const lines = [];
  const tasks = [];
  const log = (bound) => ({
    ...Object.fromEntries(
      ["debug", "info", "warn", "error"].map((level) => [
        level,
        (message, fields = {}) => lines.push({ level, message, ...bound, ...fields }),
      ]),
    ),
    with: (fields) => log({ ...bound, ...fields }),
  });
  const progress = {
    start(label, total) {
      const task = { label, total, done: 0, ended: false };
      tasks.push(task);
      return {
        update(done) {
          task.done = done;
        },
        end() {
          task.ended = true;
        },
      };
    },
  };
  return { signal: controller.signal, log: log({}), progress, lines, tasks, controller };
}
