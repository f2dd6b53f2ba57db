/**
 * LZ4 frames, in which Arrow files compress their buffers. The packages for parquet know bare blocks only.
 *
 * @module
 */

/**
 * Unpacks an LZ4 frame; its checksums are passed over.
 *
 * @throws {Error} when the bytes are no frame, or are damaged.
 */
export function decodeLz4Frame(frame: Uint8Array): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint32(0, true) !== 0x184d2204) throw new Error("no LZ4 frame");
  const flags = frame[4], blockChecksums = (flags & 0x10) !== 0;
  const hasSize = (flags & 0x08) !== 0, hasDictionary = (flags & 0x01) !== 0;
  const output = new Output(hasSize ? Number(view.getBigUint64(6, true)) : 4 * frame.length);
  let at = 6 + (hasSize ? 8 : 0) + (hasDictionary ? 4 : 0) + 1;
  for (;;) {
    const word = view.getUint32(at, true), size = word & 0x7fffffff;
    at += 4;
    if (size === 0) return output.bytes();
    const block = frame.subarray(at, at + size);
    if (block.length < size) throw new Error("an LZ4 frame ends early");
    if (word >>> 31) output.append(block);
    else decodeBlock(block, output);
    at += size + (blockChecksums ? 4 : 0);
  }
}

/** Unpacks a block behind those before it, to which it may refer. */
function decodeBlock(block: Uint8Array, output: Output): void {
  let at = 0;
  const extended = (length: number) => {
    if (length < 15) return length;
    for (let byte = 255; byte === 255;) length += byte = block[at++];
    return length;
  };
  while (at < block.length) {
    const token = block[at++], literals = extended(token >> 4);
    output.append(block.subarray(at, at + literals));
    at += literals;
    if (at >= block.length) return; // the last part is literals only
    const offset = block[at] | block[at + 1] << 8;
    at += 2;
    output.repeat(offset, extended(token & 15) + 4);
  }
}

/** Bytes that grow. */
class Output {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Appends what stands `offset` bytes back; it may reach into itself. */
  repeat(offset: number, length: number): void {
    if (offset === 0 || offset > this.#length) throw new Error("an LZ4 block is damaged");
    this.#reserve(length);
    for (const end = this.#length + length; this.#length < end; this.#length++) {
      this.#bytes[this.#length] = this.#bytes[this.#length - offset];
    }
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const bytes = new Uint8Array(2 * (this.#length + more));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
  }
}
