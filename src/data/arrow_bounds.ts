/**
 * Whether the lengths in an Arrow file fit into it. `@uwdata/flechette` believes them, and one flipped bit
 * makes it fill the memory until the process is killed, where nothing can be caught any more.
 *
 * @module
 */

/** What stands in a slot of a FlatBuffers table: a table, a list of them, or a list of structs of a size. */
type Slot = { table: Layout } | { tables: Layout } | { bytes: number };
/** The slots of a table that have lengths in them, by their place in its vtable (4, 6, 8, …). */
type Layout = { readonly [slot: number]: Slot };

// Format 1.5: Schema.fbs, Message.fbs and File.fbs of apache/arrow.
const metadata: Slot = { tables: {} };
const field: { [slot: number]: Slot } = { 16: metadata };
field[14] = { tables: field };
const schema: Layout = { 6: { tables: field }, 8: metadata };
const batch: Layout = { 6: { bytes: 16 }, 8: { bytes: 16 }, 12: { bytes: 8 } };
const dictionary: Layout = { 6: { table: batch } };
const footer: Layout = {
  6: { table: schema },
  8: { bytes: 24 },
  10: { bytes: 24 },
  12: metadata,
};
const headers: Readonly<Record<number, Layout>> = { 1: schema, 2: dictionary, 3: batch };

/**
 * Checks every length in a file's or a stream's metadata before anybody allocates by it.
 *
 * @throws {RangeError} when one reaches beyond the bytes that it counts.
 */
export function checkLengths(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // A file is a stream between two magic words, with a footer that says where its batches begin.
  const isFile = view.getUint8(0) === 0x41;
  if (!isFile) {
    for (let at = 0; at + 8 <= bytes.length;) {
      const next = checkMessage(view, at);
      if (next === undefined) return;
      at = next;
    }
    return;
  }
  const end = bytes.length - 10, length = view.getInt32(end, true);
  if (length <= 0 || length > end - 8) throw new RangeError("its footer is longer than the file");
  const inside = part(view, end - length, length);
  checkTable(inside, inside.getInt32(0, true), footer);
  for (const slot of [8, 10]) {
    const list = slotAt(inside, inside.getInt32(0, true), slot);
    if (list === undefined) continue;
    const base = target(inside, list), count = inside.getInt32(base, true);
    for (let i = 0; i < count; i++) {
      checkMessage(view, Number(inside.getBigInt64(base + 4 + 24 * i, true)));
    }
  }
}

/** Checks a message; returns where the next one begins, undefined at the stream's end. */
function checkMessage(view: DataView, at: number): number | undefined {
  const continued = view.getInt32(at, true) === -1, start = at + (continued ? 8 : 4);
  const length = view.getInt32(start - 4, true);
  if (length === 0) return undefined;
  const message = part(view, start, length), root = message.getInt32(0, true);
  const bodySlot = slotAt(message, root, 10), typeSlot = slotAt(message, root, 6);
  const body = bodySlot === undefined ? 0 : Number(message.getBigInt64(bodySlot, true));
  part(view, start + length, body);
  const header = headers[typeSlot === undefined ? 0 : message.getUint8(typeSlot)];
  checkTable(message, root, header === undefined ? {} : { 8: { table: header } });
  return start + length + body;
}

function checkTable(view: DataView, at: number, layout: Layout): void {
  for (const [slot, kind] of Object.entries(layout)) {
    const place = slotAt(view, at, Number(slot));
    if (place === undefined) continue;
    const base = target(view, place);
    if ("table" in kind) {
      checkTable(view, base, kind.table);
      continue;
    }
    const count = view.getInt32(base, true), size = "bytes" in kind ? kind.bytes : 4;
    part(view, base + 4, count * size);
    if ("bytes" in kind) continue;
    for (let i = 0; i < count; i++) {
      checkTable(view, target(view, base + 4 + 4 * i), kind.tables);
    }
  }
}

/** Where the value of a slot stands; undefined where the table has none. */
function slotAt(view: DataView, table: number, slot: number): number | undefined {
  const vtable = table - view.getInt32(table, true);
  const offset = slot < view.getInt16(vtable, true) ? view.getInt16(vtable + slot, true) : 0;
  return offset === 0 ? undefined : table + offset;
}

/** Where a reference leads: always forward, so that following them ends. */
function target(view: DataView, at: number): number {
  const offset = view.getInt32(at, true);
  if (offset <= 0) throw new RangeError("a reference in its metadata leads back");
  return at + offset;
}

/** Some of the bytes, all of which must be there. */
function part(view: DataView, start: number, length: number): DataView {
  if (start < 0 || length < 0 || start + length > view.byteLength) {
    throw new RangeError("a length in its metadata reaches beyond the file");
  }
  return new DataView(view.buffer, view.byteOffset + start, length);
}

/** What flechette has of a column in one batch. */
interface Batch {
  readonly length: number;
  readonly offsets?: ArrayLike<number | bigint> | null;
  readonly values?: { readonly length: number };
  readonly children?: readonly Batch[];
  /** How many values of its child each value has, where all have as many. */
  readonly stride?: number;
}

/**
 * Checks that a column's batch has as many values as it says, and that lists in it end inside of it.
 *
 * @throws {RangeError} when not.
 */
export function checkBatch({ length, offsets, values, children = [], stride = 0 }: Batch): void {
  const short = () => {
    throw new RangeError("a column has fewer values than rows");
  };
  if (offsets) {
    if (offsets.length <= length && length > 0) short();
    const inside = values?.length ?? children[0]?.length ?? 0;
    for (let i = 0, last = 0; length > 0 && i <= length; i++) {
      const at = Number(offsets[i]);
      if (at < last || at > inside) short();
      last = at;
    }
  } else if (values && 8 * values.length < length) short();
  else if (children.length === 1 && children[0].length < length * stride) short();
  for (const child of children) checkBatch(child);
}
