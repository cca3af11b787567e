import { byId } from "./dom.js";
import { fetchYears } from "./server-data.js";
import { Viewer } from "./viewer.js";

const RETRY_MS = 2_000;

/** The page can be opened before anything is published; it begins once there is something to see. */
async function start(): Promise<void> {
  for (;;) {
    const problem = await begin();
    if (problem === undefined) return;
    const notice = byId("notice");
    notice.textContent = problem;
    notice.hidden = false;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** @returns why it could not begin. */
async function begin(): Promise<string | undefined> {
  try {
    const years = await fetchYears();
    if (!years.years.some((year) => "archive" in year)) return "Nothing is published here yet. This page waits for it.";
    await new Viewer(years).start();
    return undefined;
  } catch (error) {
    return `The map cannot be shown: ${error instanceof Error ? error.message : error}`;
  }
}

void start();
