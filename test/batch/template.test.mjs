import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { argvTemplate, shellTemplate, splitCommand } from "../../dist/batch/template.js";
import { tempFolder } from "../support/temp-folder.mjs";

test("a command line is cut as a shell cuts it, and nothing is expanded", () => {
  for (const [text, argv] of [
    ["a  b\tc", ["a", "b", "c"]],
    [`a 'b c' "d 'e'" f\\ g`, ["a", "b c", "d 'e'", "f g"]],
    [`--x="{id} y" ''`, ["--x={id} y", ""]],
    ["$HOME `x` $(y) *", ["$HOME", "`x`", "$(y)", "*"]],
    [`"a\\"b" 'a\\b'`, ['a"b', "a\\b"]],
    ["", []],
  ]) {
    assert.deepEqual(splitCommand(text), argv);
  }
  assert.throws(() => splitCommand("a 'b"), { kind: "usage", message: /quote is not closed/ });
  assert.throws(() => argvTemplate([], []), { kind: "usage" });
});

test("a placeholder stays one argument, whatever is in it", () => {
  const template = argvTemplate(["run", "--f={name}", "{id}{n}", "{{x}}", "{o}", "{none}"], ["name", "n", "o", "none"]);
  assert.deepEqual(template.expand({ id: "a b", name: "'; rm -rf / #{id}", n: 7, o: { a: [1] }, none: null }), [
    "run",
    "--f='; rm -rf / #{id}",
    "a b7",
    "{x}",
    '{"a":[1]}',
    "",
  ]);
  assert.throws(() => argvTemplate(["{nam}"], ["name"]), { kind: "usage", message: /received=\{nam\}.*\{name\}/ });
  assert.throws(() => argvTemplate(["awk", "{print}"], []), { kind: "usage", message: /\{\{/ });
  assert.throws(() => argvTemplate(["a}"], []), { kind: "usage" });
});

test("--shell: a real shell gets every value unharmed, in quotes and without", (t) => {
  const folder = tempFolder(t);
  const template = shellTemplate(`printf '%s\\0' {a} "-{b}-" x{a}y; printf '%s' "it's {b}" | cat`, ["a", "b"]);
  const value = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.constantFrom(
      "$(touch pwned)",
      "`touch pwned`",
      "'; touch pwned; '",
      '"; touch pwned; "',
      "a\nb",
      "*",
      "-n",
      "\\",
      "$HOME",
      "{b}",
    ),
  );
  fc.assert(
    fc.property(value, value, (a, b) => {
      const clean = (text) => text.replaceAll("\0", "");
      const [program, ...args] = template.expand({ a: clean(a), b: clean(b) });
      const out = execFileSync(program, args, { cwd: folder, encoding: "utf8" });
      assert.deepEqual(out.split("\0"), [clean(a), `-${clean(b)}-`, `x${clean(a)}y`, `it's ${clean(b)}`]);
    }),
    { seed: 7, numRuns: 150 },
  );
  assert.deepEqual(readdirSync(folder), []);
  assert.throws(() => shellTemplate("echo '{a}'", ["a"]), { kind: "usage", message: /single quotes/ });
  assert.throws(() => shellTemplate("echo {z}", ["a"]), { kind: "usage", message: /received=\{z\}/ });
});

test("a placeholder is refused where a shell would read its value once more", () => {
  const lines = [
    'x="$(cmd {id})"',
    "echo $(cmd {id})",
    "echo `cmd {id}`",
    'echo "`cmd {id}`"',
    "echo $((1 + {id}))",
    `echo "\${{x:-{id}}}"`,
    "eval echo {id}",
    "cd / && eval {id}",
    'sh -c "echo {id}"',
    'a | /bin/bash -lc "echo {id}" x',
    'env X=1 su nobody -c "echo {id}"',
    "ssh host rm {id}",
    'find . -exec sh -c "rm {id}" \\;',
  ];
  for (const line of lines)
    assert.throws(() => shellTemplate(line, []), { kind: "usage", message: /would read its value as script/ }, line);
  for (const argv of [
    ["sh", "-c", "echo {id}"],
    ["/usr/bin/bash", "-ec", "x{id}"],
    ["ssh", "host", "{id}"],
    ["env", "sh", "-c", "{id}"],
  ])
    assert.throws(
      () => argvTemplate(argv, []),
      { kind: "usage", message: /would read its value as script/ },
      argv.join(" "),
    );
});

test("and is not where none does", () => {
  const lines = [
    "echo $(date) {id}",
    'echo "$(date)" "{id}"',
    "echo `date` {id}",
    "sh -c 'echo \"$1\"' sh {id}",
    "(cd x; cmd {id})",
    "evaluate {id}; bash-like -c {id}",
    "echo eval; echo {id}",
    "echo '$(' {id}",
    "echo \\$\\( {id}",
    'if [ -n "$(ls)" ]; then cmd {id} > {out}/r; fi',
  ];
  for (const line of lines) shellTemplate(line, []);
  argvTemplate(["sh", "-c", 'echo "$1"', "sh", "{id}"], []);
  argvTemplate(["python3", "-m", "x", "-c", "{id}"], []);
});

test("values of all kinds reach the command as they are, also next to substitutions", () => {
  const nasty = "a b * $(touch x) `touch y` \"q\" 'r' \\ \n end";
  const template = shellTemplate('printf "%s" "$(printf "[")"{id}"$(printf "]")"', []);
  const [program, ...args] = template.expand({ id: nasty });
  assert.equal(execFileSync(program, args, { encoding: "utf8" }), `[${nasty}]`);
});
