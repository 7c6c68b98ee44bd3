/** A scene as the text of an SVG file, with its title and its legend. */
import { FONT_SIZE, layout } from "./layout";
import { strokes } from "./looks";
import type { Scene } from "./scene";
import type { ChartStyle } from "./style";
import { gaps, loners, type Pen, traceBand, traceLine } from "./trace";

class PathPen implements Pen {
  private readonly parts: string[] = [];

  moveTo(x: number, y: number): void {
    this.parts.push(`M${x.toFixed(1)} ${y.toFixed(1)}`);
  }

  lineTo(x: number, y: number): void {
    this.parts.push(`L${x.toFixed(1)} ${y.toFixed(1)}`);
  }

  toString(): string {
    return this.parts.join("");
  }
}

const TITLE = 30;
const ENTRY = 16;
const MOST_ENTRIES = 30;

/** A file of WIDTH by HEIGHT pixels and what the legend takes. CLIP is a name of its own within a file. */
export function svg(
  scene: Scene,
  title: string,
  style: ChartStyle,
  width: number,
  height: number,
  clip = "plot",
): string {
  const place = layout(scene, { width, height });
  const entries = scene.drawn.slice(0, MOST_ENTRIES);
  const total =
    TITLE + height + 14 + entries.length * ENTRY + (scene.drawn.length > MOST_ENTRIES ? ENTRY : 0);
  const { left, right, top, bottom } = place;
  const out: string[] = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${total}" viewBox="0 0 ${width} ${total}" font-family="${xml(style.font)}" font-size="${FONT_SIZE}">`,
    `<title>${xml(title)}</title>`,
    `<rect width="100%" height="100%" fill="${style.ground}"/>`,
    `<text x="12" y="19" font-size="13" font-weight="600" fill="${style.text}">${xml(title)}</text>`,
    `<g transform="translate(0 ${TITLE})">`,
    `<clipPath id="${clip}"><rect x="${left}" y="${top - 2}" width="${right - left}" height="${bottom - top + 3}"/></clipPath>`,
  ];
  for (const tick of place.ticksY) {
    const y = place.y.at(tick.at).toFixed(1);
    out.push(`<path d="M${left} ${y}H${right}" stroke="${style.grid}"/>`);
    out.push(
      `<text x="${left - 7}" y="${y}" dy=".35em" text-anchor="end" fill="${style.dim}">${xml(tick.label)}</text>`,
    );
  }
  for (const tick of place.ticksX) {
    const x = place.x.at(tick.at).toFixed(1);
    out.push(
      `<text x="${x}" y="${bottom + 16}" text-anchor="middle" fill="${style.dim}">${xml(tick.label)}</text>`,
    );
  }
  out.push(`<path d="M${left} ${bottom}H${right}" stroke="${style.axis}"/>`, `<g clip-path="url(#${clip})">`);
  for (const one of strokes(scene, undefined)) {
    if (one.band) {
      for (const [lower, upper] of one.bands) {
        const pen = new PathPen();
        traceBand(pen, one.line, lower, upper, place, scene.axis);
        const edge = one.edge ? ` stroke="${one.color}" stroke-opacity="${one.edge}" stroke-width=".8"` : "";
        out.push(`<path d="${pen}" fill="${one.color}" fill-opacity="${one.band}"${edge}/>`);
      }
    }
    const stroke = (column: Float64Array, attributes: string) => {
      const pen = new PathPen();
      traceLine(pen, one.line, column, place, scene.axis);
      out.push(`<path d="${pen}" fill="none" stroke="${one.color}" ${attributes}/>`);
    };
    if (one.behind) stroke(one.behind, `stroke-opacity=".28"`);
    stroke(one.main, `stroke-width="${one.width || 1}" stroke-dasharray="${one.dash.join(" ")}"`);
    for (const [x, y] of loners(one.line, one.main, place, scene.axis)) {
      out.push(`<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="2.4" fill="${one.color}"/>`);
    }
  }
  out.push("</g>");
  for (const one of strokes(scene, undefined)) {
    for (const x of gaps(one.line, place, scene.axis)) {
      out.push(`<path d="M${x - 3.5} ${top - 7}h7l-3.5 6z" fill="${one.color}"/>`);
    }
  }
  out.push("</g>");
  entries.forEach(({ ink, label }, index) => {
    const y = TITLE + height + 14 + index * ENTRY;
    out.push(
      `<path d="M14 ${y}h20" stroke="${ink.color}" stroke-width="2" stroke-dasharray="${ink.dash.join(" ")}"/>`,
      `<text x="42" y="${y}" dy=".35em" fill="${style.text}">${xml(label)}</text>`,
    );
  });
  if (scene.drawn.length > MOST_ENTRIES) {
    const y = TITLE + height + 14 + entries.length * ENTRY;
    out.push(
      `<text x="42" y="${y}" dy=".35em" fill="${style.dim}">and ${scene.drawn.length - MOST_ENTRIES} more</text>`,
    );
  }
  out.push("</svg>");
  return out.join("\n");
}

/** Text as XML; what XML cannot hold is left out. */
export function xml(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
