// Opens studies in the OHIF viewer as a user does, and prints as JSON what it shows: node view_pacs.mjs PLAN.json FOLDER
//
// PLAN: { address, studies: [{ name, study, image }] } with the UID of each study, and of the image to look at.
// Into FOLDER go screenshots, and of each study the viewport with and without the segmentation, as PNG.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const PATIENT_MS = 120_000; // software rendering on two cores
const SERIES = "[data-cy^=study-browser-thumbnail]";
const [plan_path, folder] = process.argv.slice(2);
const plan = JSON.parse(readFileSync(plan_path, "utf8"));
const found = { studies: [], complaints: [], outside: [], isolated: null };

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
page.setDefaultTimeout(PATIENT_MS);
await page.addInitScript(() => {
  localStorage.setItem("shownTours", JSON.stringify(["basicViewerTour"])); // no tour of the viewer
  window.shown = () => cornerstone.getRenderingEngines()[0].getViewports()[0];
});
page.on("pageerror", (error) => found.complaints.push(String(error)));
page.on("console", (message) => message.type() === "error" && found.complaints.push(message.text()));
page.on("request", (request) => {
  if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(plan.address)) found.outside.push(request.url());
});

await page.goto(plan.address);
await page.getByText("Synthetic").first().waitFor();
await page.locator("[data-cy=confirm-and-hide-button]").click();
found.listed = await page.getByText(/^Synthetic/).allInnerTexts();
await page.screenshot({ path: join(folder, "studies.png") });
for (const study of plan.studies) found.studies.push(await look(study));
found.isolated = await page.evaluate(() => crossOriginIsolated);
await browser.close();
process.stdout.write(JSON.stringify(found, null, 1));

/** Open a study, its segmentation on the image that is asked for, and its report. */
async function look({ name, study, image }) {
  await page.goto(`${plan.address}viewer?StudyInstanceUIDs=${study}`);
  await page.locator("canvas").first().waitFor();
  await page.locator(`${SERIES}:has-text("SEG")`).dblclick();
  await page.getByRole("button", { name: "Yes" }).click();
  await page.waitForFunction((image) => shown().getImageIds().some((id) => id.includes(image)), image);
  await page.waitForFunction(() => services.segmentationService.getSegmentationRepresentations(shown().id).length > 0);
  const width = await page.evaluate(() => shown().canvas.clientWidth);
  await page.locator("[data-cy=panelSegmentation-btn]").click();
  await page.waitForFunction((width) => shown().canvas.clientWidth < width, width); // the list of segments takes its place
  await page.evaluate(show_image, image);
  const plain = await settled(false);
  const overlaid = await settled(true, plain);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  save(`${name}_plain.png`, plain);
  save(`${name}_overlaid.png`, overlaid);
  const facts = await page.evaluate(geometry);
  await page.locator(`${SERIES}:has-text("SR")`).dblclick();
  await page.getByText("Imaging Measurement Report").waitFor();
  await page.screenshot({ path: join(folder, `${name}_report.png`) });
  const report = await page.locator("[data-cy=viewport-pane]").innerText();
  return { name, ...facts, report };
}

/** Scroll the viewport to an image. */
async function show_image(image) {
  const viewport = shown();
  await viewport.setImageIdIndex(viewport.getImageIds().findIndex((id) => id.includes(image)));
}

/** The viewport as PNG with or without the segmentation, when it changes no more; and is another picture than one given. */
async function settled(visible, other) {
  await page.evaluate(show_segmentation, visible);
  const until = Date.now() + PATIENT_MS;
  for (let last, now; Date.now() < until; last = now) {
    now = await page.evaluate(() => (shown().render(), new Promise((done) => setTimeout(() => done(shown().canvas.toDataURL()), 300))));
    if (now === last && now !== other) return now;
  }
  throw new Error(`the viewport did not settle, segmentation ${visible ? "shown" : "hidden"}`);
}

function show_segmentation(visible) {
  const service = services.segmentationService;
  for (const one of service.getSegmentationRepresentations(shown().id)) {
    if (one.visible !== visible) service.toggleSegmentationRepresentationVisibility(shown().id, one);
  }
}

/** Where the canvas is in the patient (LPS mm), and the letters at its borders. */
function geometry() {
  const viewport = shown();
  const letters = (side) => document.querySelector(`.${side}-mid.orientation-marker`)?.innerText ?? "";
  return {
    image: viewport.getCurrentImageId(),
    origin_mm: viewport.canvasToWorld([0, 0]),
    right_mm: viewport.canvasToWorld([100, 0]),
    down_mm: viewport.canvasToWorld([0, 100]),
    left: letters("left"),
    top: letters("top"),
  };
}

function save(name, url) {
  writeFileSync(join(folder, name), Buffer.from(url.split(",")[1], "base64"));
}
