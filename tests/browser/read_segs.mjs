// Reads segmentations out of the OHIF viewer: node read_segs.mjs PLAN.json
//
// PLAN: { address, studies: [UID] }, each with one source series and one SEG. Prints for each study, in the order, { images:
// [{ source: UID of the source image's series and instance, voxels: base64 }] }, of each label map the viewer made, or { error }.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const PATIENT_MS = 120_000; // software rendering on two cores
const { address, studies } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
context.setDefaultTimeout(PATIENT_MS);
await context.addInitScript(() => localStorage.setItem("shownTours", JSON.stringify(["basicViewerTour"])));

const answers = [];
for (const study of studies) answers.push(await read(study));
await browser.close();
process.stdout.write(JSON.stringify(answers));

/** What the viewer makes of one study, in a page of its own: what goes wrong in another one is not heard here. */
async function read(study) {
  const page = await context.newPage();
  try {
    const failure = failed(page);
    await page.goto(`${address}viewer?StudyInstanceUIDs=${study}`);
    await page.locator("canvas").first().waitFor();
    if (study === studies[0]) await page.locator("[data-cy=confirm-and-hide-button]").click();
    await page.locator('[data-cy^=study-browser-thumbnail]:has-text("SEG")').dblclick();
    return await Promise.race([failure, opened(page)]);
  } catch (error) {
    return { error: error.message.split("\n")[0] };
  } finally {
    await page.close();
  }
}

/** Resolves when the viewer says that it cannot load a segmentation, with the reason it gave first. */
function failed(page) {
  let reason;
  return new Promise((resolve) =>
    page.on("console", (message) => {
      const text = message.text();
      reason ??= /prefetch failed.*Error: ([^\n]*)/.exec(text)?.[1];
      const last = /failed to load; skipping representation setup\. ?(?:Error: )?(.*)/.exec(text)?.[1];
      if (last !== undefined) resolve({ error: reason ?? last });
    }),
  );
}

async function opened(page) {
  await page.getByRole("button", { name: "Yes" }).click();
  await page.waitForFunction(() => services.segmentationService.getSegmentations().length > 0);
  return { images: await page.evaluate(label_maps) };
}

function label_maps() {
  const [{ representationData }] = services.segmentationService.getSegmentations();
  const bytes = (pixels) => btoa(Array.from(pixels, (value) => String.fromCharCode(value)).join(""));
  return representationData.Labelmap.imageIds.map((id) => {
    const image = cornerstone.cache.getImage(id);
    return { source: image.referencedImageId, voxels: bytes(image.voxelManager.getScalarData()) };
  });
}
