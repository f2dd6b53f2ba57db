/**
 * The kernel sources as text, so that a program which imported mod.ts from a URL can build its engine
 * without reading any file of this repository.
 *
 * @module
 */

import { cpu, cuda, driver, emu, include } from "./generated/sources.ts";

/** One source file of a library: headers are written beside the units, units are compiled. */
export interface SourceFile {
  readonly name: string;
  readonly text: string;
}

/** The files of each library. The emulator compiles CUDA's, `driver` tells whether NVIDIA's driver is there. */
export const sources = {
  cpu: [...include, ...cpu],
  cuda: [...include, ...cuda],
  emu: [...include, ...cuda, ...emu],
  driver,
} as const satisfies Record<string, readonly SourceFile[]>;
