// Help, versions and usage errors come at once: what does the work is loaded once the arguments are read.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { loadedWith } from "../support/loaded-with.mjs";

const commands = readdirSync(new URL("../../dist/", import.meta.url)).filter(
  (name) => name.endsWith(".js") && name !== "index.js",
);

test("a command is loaded with few modules and no package", () => {
  assert.ok(commands.includes("year.js") && commands.length > 15, String(commands));
  for (const command of commands) {
    const loaded = loadedWith(command);
    assert.deepEqual(
      loaded.filter((name) => !name.endsWith(".js") || name.includes("node_modules")),
      [],
      command,
    );
    assert.ok(loaded.length <= 60, `${command}: ${loaded.length}`);
  }
});
