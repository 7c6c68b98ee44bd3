import { describe, expect, it } from "vitest";
import { ago, duration, short, value } from "../src/lib/format";

describe("values", () => {
  it.each([
    [0, "0"],
    [0.1 + 0.2, "0.3"],
    [2.3456789, "2.3457"],
    [-1.5, "\u22121.5"],
    [1234567, "1,234,567"],
    [123456.789, "123457"],
    [0.000012, "1.2e\u22125"],
    [6.953e-5, "6.953e\u22125"],
    [1e300, "1e300"],
    [Number.NaN, "NaN"],
    [Number.NEGATIVE_INFINITY, "\u2212∞"],
  ])("%d reads %s", (number, text) => expect(value(number)).toBe(text));

  it("are short on axes", () => {
    expect([999, 1000, 12_500, 999_999, 2.5e9].map(short)).toEqual(["999", "1k", "12.5k", "1M", "2.5G"]);
  });
});

describe("times", () => {
  it.each([
    [0, "0 ms"],
    [1500, "1.5 s"],
    [61_000, "1 m 1 s"],
    [3_600_000, "1 h"],
    [90_000_000, "1 d 1 h"],
  ])("%d ms are %s", (ms, text) => expect(duration(ms)).toBe(text));

  it("say how long ago something was", () => {
    expect(ago(0, 3000)).toBe("just now");
    expect(ago(0, 200_000)).toBe("3 m ago");
  });
});
