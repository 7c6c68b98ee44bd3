/** Columns travel as little-endian arrays in bytes fields, at any alignment. */

const TWO_32 = 2 ** 32;

/** float64 */
export function floats(bytes: Uint8Array): Float64Array {
  const rows = bytes.length >> 3;
  if (bytes.byteOffset % 8 === 0)
    return new Float64Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, rows);
  return new Float64Array(bytes.slice().buffer as ArrayBuffer, 0, rows);
}

/** int64 as numbers: exact up to 2^53, which holds every step that a person has logged and every instant. */
export function integers(bytes: Uint8Array): Float64Array {
  const rows = bytes.length >> 3;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const result = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    result[row] = view.getInt32(row * 8 + 4, true) * TWO_32 + view.getUint32(row * 8, true);
  }
  return result;
}
