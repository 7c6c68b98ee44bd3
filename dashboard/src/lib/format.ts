/** Numbers, durations and dates as people read them in narrow columns. */

const MINUS = "\u2212";
const SUFFIXES = ["", "k", "M", "G", "T", "P"];

/** A measured value with `digits` significant digits; very large and very small ones in powers of ten. */
export function value(number: number, digits = 5): string {
  if (Number.isNaN(number)) return "NaN";
  if (!Number.isFinite(number)) return number > 0 ? "∞" : `${MINUS}∞`;
  if (number === 0) return "0";
  const size = Math.abs(number);
  if (size < 1e-4 || size >= 1e9) return tidy(number.toExponential(Math.max(0, digits - 1)));
  if (Number.isInteger(number)) return tidy(count(number));
  return tidy(String(Number(number.toPrecision(Math.max(digits, Math.ceil(Math.log10(size)))))));
}

/** A whole number, exactly: 12,345. Not by the browser's own formats, whose first use costs 30 ms. */
export function count(number: number | bigint): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A count or a step in five characters: 1.25M. */
export function short(number: number): string {
  if (!Number.isFinite(number)) return value(number);
  let scaled = Math.abs(number);
  let index = 0;
  while (scaled >= 999.5 && index < SUFFIXES.length - 1) {
    scaled /= 1000;
    index += 1;
  }
  if (scaled >= 1000) return value(number, 3);
  const text = index === 0 ? String(Number(scaled.toPrecision(6))) : String(Number(scaled.toPrecision(3)));
  return (number < 0 ? MINUS : "") + text + SUFFIXES[index];
}

/** A span of milliseconds: 42 s, 3 m 20 s, 5 h 12 m, 3 d 4 h. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return "";
  if (ms < 0) return `${MINUS}${duration(-ms)}`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${Number(seconds.toPrecision(2))} s`;
  const units: [number, string][] = [
    [86400, "d"],
    [3600, "h"],
    [60, "m"],
    [1, "s"],
  ];
  const first = units.findIndex(([size]) => seconds >= size);
  const [size, name] = units[first] as [number, string];
  const whole = Math.floor(seconds / size);
  const next = units[first + 1];
  if (!next) return `${whole} ${name}`;
  const rest = Math.floor((seconds - whole * size) / next[0]);
  return rest ? `${whole} ${name} ${rest} ${next[1]}` : `${whole} ${name}`;
}

/** How long ago an instant was: "3 m ago". */
export function ago(ms: number, now: number): string {
  const span = now - ms;
  if (span < 5000) return "just now";
  return `${duration(span).split(" ").slice(0, 2).join(" ")} ago`;
}

/** An instant in local time, to the second. */
export function instant(ms: number): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "";
  const two = (number: number) => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Anything out of JSON in one line. */
export function json(data: unknown): string {
  if (typeof data === "number") return value(data, 6);
  if (typeof data === "string") return data;
  if (data === undefined) return "";
  return JSON.stringify(data) ?? "";
}

/** A proper minus, a short exponent, and no zeros behind the last digit of a fraction. */
function tidy(text: string): string {
  return text
    .replace(/(\.\d*?)0+(e|$)/, (_, digits: string, end: string) => (digits === "." ? end : digits + end))
    .replace("e+", "e")
    .replaceAll("-", MINUS);
}
