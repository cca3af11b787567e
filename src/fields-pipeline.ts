#!/usr/bin/env node
import { completionScript, SHELLS, type Shell } from "./cli/completion.js";
import { COMMANDS, enterProgram, PROGRAM, programHelp, versionText } from "./cli/program.js";
import { suggestion } from "./config/config.js";
import { EXIT_CODES } from "./pipeline/errors.js";

/** One program for all commands: `fields-pipeline year 2020` is `node dist/year.js 2020`. */
async function run([name, ...rest]: readonly string[]): Promise<void> {
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    // `help year` is what git has, too.
    const [topic] = rest;
    if (name === "help" && topic !== undefined) return run([topic, "--help"]);
    process.stdout.write(programHelp());
    if (name === undefined) process.exitCode = EXIT_CODES.usage;
  } else if (name === "--version" || name === "-V") {
    process.stdout.write(await versionText());
  } else if (name === "completion") {
    const [shell] = rest;
    if (SHELLS.includes(shell as Shell)) process.stdout.write(completionScript(shell as Shell));
    else refuse(`Expected completion ${SHELLS.join("|")}${suggestion(shell ?? "", SHELLS)}`);
  } else if (Object.hasOwn(COMMANDS, name)) {
    enterProgram();
    process.argv.splice(2, 1);
    await import(`./${name}.js`);
  } else {
    refuse(
      `Unknown command ${JSON.stringify(name)}${suggestion(name, Object.keys(COMMANDS))}; ${PROGRAM} --help lists them`,
    );
  }
}

function refuse(message: string): void {
  process.stderr.write(`ERROR ${message}\n`);
  process.exitCode = EXIT_CODES.usage;
}

await run(process.argv.slice(2));
