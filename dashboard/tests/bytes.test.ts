import { expect, it } from "vitest";
import { floats, integers } from "../src/lib/bytes";

/** BYTES as they lie in a message: at any offset of a larger buffer. */
function within(bytes: Uint8Array, offset: number): Uint8Array {
  const larger = new Uint8Array(bytes.length + offset);
  larger.set(bytes, offset);
  return larger.subarray(offset);
}

it.each([0, 1, 3, 8])("reads float64 columns at offset %d", (offset) => {
  const column = Float64Array.of(1.5, Number.NaN, -0, Number.POSITIVE_INFINITY);
  expect(floats(within(new Uint8Array(column.buffer), offset))).toEqual(column);
});

it.each([0, 5])("reads int64 columns at offset %d", (offset) => {
  const column = BigInt64Array.of(0n, -1n, 1_790_000_000_000n, -(2n ** 53n), 2n ** 53n);
  const found = integers(within(new Uint8Array(column.buffer), offset));
  expect([...found]).toEqual([0, -1, 1_790_000_000_000, -(2 ** 53), 2 ** 53]);
});
