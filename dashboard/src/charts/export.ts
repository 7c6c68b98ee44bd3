/** A panel as a file. */
import { download } from "../lib/download";
import type { Scene } from "./scene";
import { sheet } from "./sheet";
import { chartStyle } from "./style";
import { svg } from "./svg";
import { table } from "./table";

export type Format = "PNG" | "SVG" | "CSV";
export const FORMATS: readonly Format[] = ["PNG", "SVG", "CSV"];

/** Panels of one file. */
export type Sheet = readonly { title: string; scene: Scene }[];

const WIDTH = 960;
const HEIGHT = 480;
/** Pixels of the PNG for each of the drawing. */
const RATIO = 2;

export async function exportPanel(scene: Scene, title: string, format: Format): Promise<void> {
  if (format === "CSV") {
    download(`${title}.csv`, new Blob([table([scene])], { type: "text/csv" }));
    return;
  }
  await save(svg(scene, title, chartStyle(), WIDTH, HEIGHT), title, format);
}

/** Several panels as one file. */
export async function exportSheet(panels: Sheet, title: string, format: Format): Promise<void> {
  if (format === "CSV") {
    const text = table(panels.map(({ scene }) => scene));
    download(`${title}.csv`, new Blob([text], { type: "text/csv" }));
    return;
  }
  await save(sheet(panels, chartStyle()), title, format);
}

async function save(text: string, title: string, format: Format): Promise<void> {
  const drawing = new Blob([text], { type: "image/svg+xml" });
  download(`${title}.${format.toLowerCase()}`, format === "SVG" ? drawing : await raster(drawing));
}

/** The same drawing in pixels. */
async function raster(drawing: Blob): Promise<Blob> {
  const url = URL.createObjectURL(drawing);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.width * RATIO;
    canvas.height = image.height * RATIO;
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done, fail) =>
      canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("the picture is too large"))), "image/png"),
    );
  } finally {
    URL.revokeObjectURL(url);
  }
}
