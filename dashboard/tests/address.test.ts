import { beforeAll, expect, it, vi } from "vitest";

/** The module reads the address of a window. */
let address: typeof import("../src/state/address");
let options: typeof import("../src/state/options");

beforeAll(async () => {
  vi.stubGlobal("window", { addEventListener: () => {} });
  vi.stubGlobal("location", { pathname: "/", search: "" });
  address = await import("../src/state/address");
  options = await import("../src/state/options");
});

it.each(["plain", "with / and %", "<b>?&#", "\u05e9\u05dc\u05d5\u05dd 🚀", "a+b c"])(
  "an address carries %j there and back",
  (text) => {
    const [path, search] = address.print(["p", text], { q: text, empty: "" }).split("?");
    const found = address.parse(path ?? "", search ?? "");
    expect(found.path).toEqual(["p", text]);
    expect(found.query).toEqual({ q: text });
  },
);

it("a path that no browser encoded is taken as it stands", () => {
  expect(address.parse("/p/100%", "").path).toEqual(["p", "100%"]);
});

it("zoomed ranges keep their ends apart", () => {
  const zoom = { lo: 1_790_000_000_123, hi: 1_790_000_000_456 };
  expect(options.readRange(options.printRange(zoom))).toEqual(zoom);
});

it.each(["", "5", "a..b", "9..1", "1..Infinity", "..", "NaN..3"])("a range %j is none", (text) => {
  expect(options.readRange(text)).toBeUndefined();
});

it("nonsense in an address is as if it were not there", () => {
  const found = options.readOptions({ smooth: "loud", ranks: "-1", bands: "x", zoom: "?" });
  expect(found).toMatchObject({ smooth: 0, ranks: "band", bands: "minmax", zoom: undefined });
});
