// Opens a page from disk in Chromium, offline, and prints what happened as JSON: node check_page.mjs PAGE FOLDER
// Screenshots and a print go into FOLDER.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [page_path, folder] = process.argv.slice(2);
const axe_source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SIZES = { phone: { width: 360, height: 740 }, desk: { width: 1280, height: 900 } };

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  // WebGL on a machine without a graphics card
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
});
const found = { views: [], requests: [], complaints: [] };

for (const colorScheme of ["light", "dark"]) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    // the page's own policy would keep the judge out
    const context = await browser.newContext({ colorScheme, viewport, offline: true, bypassCSP: true });
    const page = await context.newPage();
    watch(page);
    await page.goto(pathToFileURL(page_path).href);
    await page.screenshot({ path: join(folder, `${size}-${colorScheme}.png`), fullPage: true });
    await page.evaluate(axe_source);
    const { violations } = await page.evaluate(() => axe.run());
    found.views.push({
      colorScheme,
      size,
      background: await page.evaluate(() => getComputedStyle(document.body).backgroundColor),
      overflow_px: await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
      faults: violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map((node) => node.html.slice(0, 200)) })),
      images: await page.evaluate(() => [...document.images].map((image) => image.complete && image.naturalWidth)),
    });
    await context.close();
  }
}

// once more under the policy of the page: what it forbids must not be needed
const context = await browser.newContext({ viewport: SIZES.desk, offline: true });
const page = await context.newPage();
watch(page);
await page.goto(pathToFileURL(page_path).href);
found.keyboard = await keyboard(page);
found.sorted = await sorted(page);
found.viewer = await viewer(page);
await page.emulateMedia({ media: "print" });
await page.pdf({ path: join(folder, "print.pdf"), preferCSSPageSize: true });
await browser.close();
process.stdout.write(JSON.stringify(found, null, 1));

function watch(page) {
  page.on("request", (request) => found.requests.push(request.url().slice(0, 300)));
  page.on("pageerror", (error) => found.complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && found.complaints.push(message.text()));
}

/** What the focus visits, and whether the first folded part opens with Enter. */
async function keyboard(page) {
  const visited = [];
  for (let step = 0; step < 60; step++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const one = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(one);
      return { tag: one.tagName, text: one.textContent.slice(0, 40), ring: outlineStyle !== "none" && outlineWidth !== "0px" };
    });
    if (at.tag === "BODY") break;
    if (at.tag === "SUMMARY" && !visited.some((one) => one.opened)) {
      await page.keyboard.press("Enter");
      at.opened = await page.evaluate(() => document.activeElement.parentElement.open);
    }
    visited.push(at);
  }
  return visited;
}

/** What the viewer shows once it is open: a fault of axe-core, or colours of its canvas about the first finding. */
async function viewer(page) {
  if (!(await page.$("#viewer-open"))) return null;
  await page.click("#viewer-open");
  await page.waitForFunction(() => globalThis.pageViewer, undefined, { timeout: 60000 });
  const shot = async () => {
    await page.waitForTimeout(300);
    return (await page.locator("#viewer-canvas").screenshot()).toString("base64");
  };
  const first = await shot();
  const place = await page.textContent("#viewer-place");
  await page.focus("#viewer-z");
  for (let press = 0; press < 5; press++) await page.keyboard.press("ArrowRight");
  const moved = await shot();
  const higher = await page.textContent("#viewer-place");
  if (await page.$("#viewer-segments")) await page.uncheck("#viewer-segments");
  return { place, higher, first, moved, plain: await shot() };
}

/** The first column of each table that can be sorted, before and after each press of the button of its second column. */
async function sorted(page) {
  const results = [];
  for (const table of await page.$$("table:has(th button)")) {
    const column = () => table.$$eval("tbody tr", (rows) => rows.map((row) => row.cells[1].textContent));
    const button = (await table.$$("th button"))[1];
    const orders = [await column()];
    for (let press = 0; press < 2; press++) {
      await button.focus();
      await page.keyboard.press("Enter");
      orders.push(await column());
    }
    results.push({ orders, said: await button.evaluate((one) => one.closest("th").getAttribute("aria-sort")) });
  }
  return results;
}
