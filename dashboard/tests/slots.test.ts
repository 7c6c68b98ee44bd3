import { expect, it } from "vitest";
import { HUES, ink } from "../src/charts/palette";

it("thirty-two lines have different looks", () => {
  const looks = new Set(Array.from({ length: 4 * HUES }, (_, slot) => JSON.stringify(ink(slot, true))));
  expect(looks.size).toBe(4 * HUES);
});
