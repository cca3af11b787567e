import type { ViewerYears } from "../viewer-api.js";
import { byId } from "./dom.js";
import { fetchYears } from "./server-data.js";
import { Viewer } from "./viewer.js";

const RETRY_MS = 2_000;

/** The page may be opened before anything is published; it starts with the first published year. */
async function start(): Promise<void> {
  const years = await publishedYears();
  byId("map").setAttribute("aria-busy", "true");
  try {
    await new Viewer(years).start();
  } catch (error) {
    tell(`The map cannot be shown: ${error instanceof Error ? error.message : error}`);
  }
}

async function publishedYears(): Promise<ViewerYears> {
  for (;;) {
    try {
      const years = await fetchYears();
      if (years.years.some((year) => "archive" in year)) return years;
      const [first] = years.years;
      const nothing = "Nothing is published here yet. This page waits for it.";
      tell(
        first === undefined || !("missing" in first)
          ? nothing
          : `No year can be shown. ${first.year}: ${first.missing}.`,
      );
    } catch (error) {
      tell(`The server cannot be asked: ${error instanceof Error ? error.message : error}`);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function tell(text: string): void {
  const notice = byId("notice");
  notice.textContent = text;
  notice.hidden = false;
  byId("map").setAttribute("aria-busy", "false");
}

void start();
