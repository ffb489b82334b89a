// A headless browser with one page. Commands are posted to it as JSON arrays, such as
// ["click", "text=Redrive"]; selectors are Playwright's. It prints its address.
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";

const folder = process.argv[2];
const require = createRequire(join(folder, "package.json"));
const { chromium } = require("playwright-core");

// The one that `make browser` unpacked, with its libraries and fonts, or an installed one.
function executable() {
  const unpacked = join(folder, "chromium");
  if (existsSync(unpacked)) {
    const libraries = { LD_LIBRARY_PATH: join(folder, "al2023", "lib") };
    const fonts = { FONTCONFIG_FILE: join(folder, "fonts.conf") };
    return { executablePath: unpacked, env: { ...process.env, ...libraries, ...fonts } };
  }
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const folders = (process.env.PATH ?? "").split(delimiter);
  const paths = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  const executablePath = paths.find((path) => existsSync(path));
  return executablePath ? { executablePath } : { channel: "chrome" };
}

const browser = await chromium
  .launch({ ...executable(), args: ["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"] })
  .catch((error) => {
    console.log("No browser can be started. On this system, install Chromium or Google Chrome.");
    console.log(String(error));
    process.exit(1);
  });
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
page.setDefaultTimeout(20_000);

const faults = [];
page.on("pageerror", (error) => faults.push(String(error)));
page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
// Pages of tests load nothing from elsewhere.
await page.route("**", (route) => {
  const url = new URL(route.request().url());
  if (url.hostname === "127.0.0.1" || url.protocol === "data:" || url.protocol === "file:") {
    return route.continue();
  }
  faults.push(`a request to ${url.host}`);
  return route.abort();
});

const commands = {
  open: async (url) => void (await page.goto(url)),
  resize: (width, height) => page.setViewportSize({ width, height }),
  click: (selector) => page.click(selector),
  fill: (selector, text) => page.fill(selector, text),
  // Waits until it is visible.
  see: async (selector) => void (await page.waitForSelector(selector)),
  text: (selector) => page.innerText(selector),
  count: (selector) => page.locator(selector).count(),
  html: (selector) => page.innerHTML(selector),
  evaluate: (script) => page.evaluate(script),
  screenshot: async (path, selector) => void (await page.locator(selector).screenshot({ path })),
  // What went wrong in the page since the last call.
  faults: async () => faults.splice(0),
};

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) {
    parts.push(part);
  }
  try {
    const [name, ...inputs] = JSON.parse(Buffer.concat(parts).toString());
    const answer = await commands[name](...inputs);
    response.end(JSON.stringify(answer ?? null));
  } catch (error) {
    response.statusCode = 500;
    response.end(String(error.message ?? error));
  }
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
