/**
 * Which device to compute on when the user leaves it open.
 *
 * @module
 */

import { UserError } from "../src/errors.ts";
import type { Backend } from "./build.ts";
import { Device, type DeviceOptions } from "./device.ts";
import { NativeError } from "./library.ts";

/** A backend by name, or `auto`: the GPU where there is one, else the CPU. */
export type DeviceChoice = "auto" | Backend;

/** Device files of NVIDIA's driver: on Linux, and under WSL. */
const driverFiles = ["/dev/nvidiactl", "/dev/dxg"];
/** The driver's library, and the dynamic loader's list of libraries, which names it where it is installed. */
const driverLibrary = "libcuda.so.1", loaderCache = "/etc/ld.so.cache";

/**
 * Opens the device of a choice. `auto` tells why it took the CPU through `onNote`.
 *
 * @throws {UserError} when `cuda` is asked for and there is no GPU, or its kernels cannot be built.
 */
export async function openDevice(
  choice: DeviceChoice,
  options: DeviceOptions & { readonly onNote?: (text: string) => void } = {},
): Promise<Device> {
  if (choice === "cpu" || choice === "emu") return await Device.open(choice, options);
  try {
    return await openGpu(options);
  } catch (error) {
    if (choice === "cuda" || !(error instanceof UserError)) throw error;
    options.onNote?.(`${error.message}; computing on the CPU`);
    return await Device.open("cpu", options);
  }
}

/** Whether `auto` would try the GPU: the driver is there, as far as the program may look. */
export function hasDriver(): boolean {
  try {
    return driverFiles.some(isDevice);
  } catch {
    // Deno shows device files to programs with all permissions only; this one may read others.
    return isLibraryInstalled();
  }
}

/** @throws {Deno.errors.NotCapable} where the program may not look. */
function isDevice(path: string): boolean {
  try {
    return Deno.statSync(path).isCharDevice === true;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false;
  }
}

function isLibraryInstalled(): boolean {
  try {
    return new TextDecoder("latin1").decode(Deno.readFileSync(loaderCache)).includes(driverLibrary);
  } catch {
    return false;
  }
}

async function openGpu(options: DeviceOptions): Promise<Device> {
  const hint = "install NVIDIA's driver, or compute on the CPU: --device cpu";
  // Not worth minutes of compilation just to be told.
  if (!hasDriver()) throw new UserError("no CUDA device: no NVIDIA driver is installed", { hint });
  try {
    return await Device.open("cuda", options);
  } catch (error) {
    const message = error instanceof NativeError && error.message.match(/no CUDA device: .*/)?.[0];
    if (message) throw new UserError(message, { hint, cause: error });
    throw error;
  }
}
