// A real Chromium, driven by Playwright, that draws WebGL without a graphics card.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const PROGRAM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) =>
  existsSync(path),
);

const LIMIT_MS = 180_000;

/** Why no browser can run here, as a test's skip message; false when one can. */
export function browserMissing() {
  return PROGRAM === undefined ? "chromium is not installed (containers/setup.sh --test)" : false;
}

/** @returns {open(url, options), close()}; with `names` states and counties are drawn; open resolves to a page that keeps what it complains of in `complaints`. */
export async function startBrowser(args = []) {
  const webgl = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"];
  // It writes to HOME whatever its profile.
  const home = mkdtempSync(join(tmpdir(), "browser-"));
  const browser = await chromium.launch({
    executablePath: PROGRAM,
    env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
    args: ["--no-sandbox", ...(args.length > 0 ? args : webgl)],
  });
  const open = async (url, { width = 1040, height = 660, names = false, ...options } = {}) => {
    const context = await browser.newContext({
      viewport: { width, height },
      reducedMotion: "reduce",
      colorScheme: "light",
      ...options,
    });
    // On a machine that is busy with other tests a map takes its time.
    context.setDefaultTimeout(LIMIT_MS);
    // Lines and names lie over the fields' colors, which most tests look at.
    if (!names) {
      await context.addInitScript(() => {
        // An empty page has no storage.
        if (location.protocol === "http:") localStorage.setItem("names", "off");
      });
    }
    const page = await context.newPage();
    const complaints = [];
    const { origin } = new URL(url);
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()))
        complaints.push(`${message.type()}: ${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => complaints.push(`thrown: ${error.stack}`));
    page.on("request", (request) => {
      const outside = !request.url().startsWith(`${origin}/`) && !/^(data|blob):/.test(request.url());
      if (outside) complaints.push(`asked another server: ${request.url()}`);
    });
    await page.goto(url);
    return Object.assign(page, { complaints });
  };
  const close = async () => {
    await browser.close();
    rmSync(home, { recursive: true, force: true });
  };
  return { open, close };
}

/** Wait until a year is on the map and nothing moves any more. */
export async function settled(page, year) {
  await page.waitForSelector(`#map[aria-busy=false][data-year="${year}"]`);
}

/** Wait until what was just changed is drawn. */
export async function drawn(page) {
  await page.waitForSelector("#map[aria-busy=false]");
}
