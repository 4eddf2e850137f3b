// Reads segmentations as viewers built on Cornerstone do. It is bundled before it runs (readers.py), for any version of Node:
// esbuild load_seg.mjs --bundle --platform=node --outfile=load_seg.cjs && node load_seg.cjs JOBS.json
//
// JOBS: [{ sources: [file of each slice, in order], seg: file, voxels: file to write }]. Into voxels go the label maps, one
// after the other where segments overlap: bytes of (slice, row, column). Prints for each job {} or { error }.
import { webcrypto } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { adaptersSEG } from "@cornerstonejs/adapters";
import { metaData } from "@cornerstonejs/core";
import dcmjs from "dcmjs";

const { DicomMessage, DicomMetaDictionary } = dcmjs.data;
const instances = new Map();

globalThis.window ??= globalThis; // it is made for browsers
globalThis.crypto ??= webcrypto; // the rest is what Node 18 lacks
globalThis.CustomEvent ??= class extends Event {
  constructor(type, { detail } = {}) {
    super(type);
    this.detail = detail;
  }
};
for (const name of ["log", "info", "warn"]) console[name] = () => undefined; // standard output is the answer
metaData.addProvider((kind, id) => describe(kind, instances.get(id)), 1);
main(JSON.parse(readFileSync(process.argv[2], "utf8")));

async function main(jobs) {
  const answers = [];
  for (const job of jobs) answers.push(await answer(job));
  writeFileSync(1, JSON.stringify(answers));
  process.exit(0); // workers and timers of the viewer may go on
}

async function answer({ sources, seg, voxels }) {
  try {
    const ids = sources.map((file) => (instances.set(`test:${file}`, read(file)), `test:${file}`));
    const provider = { get: metaData.get, addCustomMetadata: (id, _kind, value) => instances.set(id, value) };
    instances.delete("cornerstone-adapters-buffer-seg:0"); // of the last job
    const { labelMapImages } = await adaptersSEG.Cornerstone3D.Segmentation.createFromDICOMSegBuffer(ids, bytes(seg), {
      metadataProvider: provider,
    });
    const maps = labelMapImages.map((images) => Buffer.concat(images.map((image) => Buffer.from(image.getPixelData()))));
    writeFileSync(voxels, Buffer.concat(maps));
    return {};
  } catch (error) {
    return { error: error.message };
  }
}

function bytes(file) {
  const content = readFileSync(file);
  return content.buffer.slice(content.byteOffset, content.byteOffset + content.byteLength);
}

function read(file) {
  const { dict, meta } = DicomMessage.readFile(bytes(file));
  return { ...DicomMetaDictionary.naturalizeDataset(dict), _meta: DicomMetaDictionary.namifyDataset(meta) };
}

/** What the viewer asks of a source image. */
function describe(kind, instance) {
  if (!instance) return undefined;
  const orientation = instance.ImageOrientationPatient;
  switch (kind) {
    case "instance":
      return instance;
    case "generalImageModule":
      return { sopInstanceUID: instance.SOPInstanceUID };
    case "generalSeriesModule":
      return { seriesInstanceUID: instance.SeriesInstanceUID, modality: instance.Modality };
    case "imagePlaneModule":
      return orientation && {
        rows: instance.Rows,
        columns: instance.Columns,
        rowCosines: orientation.slice(0, 3),
        columnCosines: orientation.slice(3),
        imageOrientationPatient: orientation,
        imagePositionPatient: instance.ImagePositionPatient,
        rowPixelSpacing: instance.PixelSpacing[0],
        columnPixelSpacing: instance.PixelSpacing[1],
        frameOfReferenceUID: instance.FrameOfReferenceUID,
      };
    case "imagePixelModule":
      return {
        samplesPerPixel: 1,
        photometricInterpretation: "MONOCHROME2",
        bitsAllocated: instance.BitsAllocated,
        bitsStored: instance.BitsStored,
        highBit: instance.HighBit,
        pixelRepresentation: instance.PixelRepresentation,
      };
  }
}
