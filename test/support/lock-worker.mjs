// A process of its own that holds a lock. node lock-worker.mjs hold|race LOCK [LOG ROUNDS] [options as JSON]
import { randomUUID } from "node:crypto";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { withLock } from "../../dist/pipeline/lock.js";
import { testContext } from "./context.mjs";

const [, , mode, lock, log, rounds] = process.argv;

if (mode === "hold") {
  // Held until stdin ends; says so, and when it is lost.
  const options = JSON.parse(log ?? "{}");
  await withLock(
    lock,
    testContext(),
    async ({ signal }) => {
      console.log("held");
      await new Promise((resolve) => {
        process.stdin.on("end", resolve).resume();
        signal.addEventListener("abort", () => {
          console.log(`lost: ${signal.reason.message}`);
          resolve();
        });
      });
    },
    options,
  ).catch((error) => console.log(error.message));
  process.exit();
}

// Take the lock again and again, and leave it as a dead process does, so that all who wait
// compete to remove it. The log shows who was inside when.
for (let done = 0; done < Number(rounds); ) {
  try {
    await withLock(lock, testContext(), async () => {
      appendFileSync(log, `enter ${process.pid}\n`);
      await sleep(3);
      const own = JSON.parse(readFileSync(lock, "utf8"));
      appendFileSync(log, `leave ${process.pid}\n`);
      writeFileSync(lock, JSON.stringify({ ...own, token: randomUUID(), startTicks: "0" }));
    });
    done++;
  } catch (error) {
    if (error.kind !== "locked") throw error;
    await sleep(Math.random() * 4);
  }
}
