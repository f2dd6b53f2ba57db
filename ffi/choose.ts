/**
 * Which device to compute on when the user leaves it open.
 *
 * @module
 */

import { UserError } from "../src/base/mod.ts";
import { type Backend, loadsDriver } from "./build.ts";
import { grantedVariable } from "./child.ts";
import { Device, type DeviceOptions } from "./device.ts";
import { NativeError } from "./library.ts";

/** A backend by name, `cuda:1` for the second GPU, or `auto`: the GPU where there is one, else the CPU. */
export type DeviceChoice = "auto" | Backend | `cuda:${number}`;

/** Whether a text names a device. */
export function isDeviceChoice(text: unknown): text is DeviceChoice {
  return typeof text === "string" && /^(auto|cpu|emu|cuda(:\d{1,4})?)$/.test(text);
}

/** The backend of a choice; undefined for `auto`. */
export function backendOf(choice: DeviceChoice): Backend | undefined {
  return choice === "auto" ? undefined : choice.replace(/:.*/, "") as Backend;
}

/** Device files of NVIDIA's driver: on Linux, and under WSL. */
const driverFiles = ["/dev/nvidiactl", "/dev/dxg"];
/** The driver's library, and the dynamic loader's list of libraries, which names it where it is installed. */
const driverLibrary = "libcuda.so.1", loaderCache = "/etc/ld.so.cache";
/** Where containers, WSL and distributions put the library without telling the list. */
const driverFolders = [
  "/usr/local/nvidia/lib64",
  "/usr/lib/wsl/lib",
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib64",
];
const withoutDriver = "install NVIDIA's driver, or compute on the CPU: --device cpu";

/**
 * Opens the device of a choice. `auto` tells why it took the CPU through `onNote`.
 *
 * @throws {UserError} when `cuda` is asked for and there is no GPU, or its kernels cannot be built.
 */
export async function openDevice(
  choice: DeviceChoice,
  options: DeviceOptions & { readonly onNote?: (text: string) => void } = {},
): Promise<Device> {
  const backend = backendOf(choice);
  if (backend === "cuda") {
    const index = Number(choice.split(":")[1] ?? options.index ?? 0);
    return await openGpu({ ...options, index });
  }
  if (backend) return await Device.open(backend, options);
  const { found, looked } = findDriver();
  const fallBack = (reason: string) => {
    options.onNote?.(`${reason}; computing on the CPU`);
    return Device.open("cpu", options);
  };
  if (!found) return await fallBack(`no NVIDIA driver found in ${looked.join(", ")}`);
  try {
    return await openGpu(options);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return await fallBack(error.message);
  }
}

/** Whether `auto` would try the GPU: the driver is there, as far as the program may look. */
export function hasDriver(): boolean {
  return findDriver().found;
}

/** Looks for the driver, and says where. */
function findDriver(): { readonly found: boolean; readonly looked: readonly string[] } {
  try {
    return { found: driverFiles.some(isDevice), looked: driverFiles };
  } catch {
    // Deno shows device files to programs with all permissions only; this one may read others.
    const path = grantedVariable("LD_LIBRARY_PATH")?.split(":").filter((folder) => folder) ?? [];
    const folders = [...new Set([...driverFolders, ...path])];
    const found = isListed() || folders.some((folder) => isFile(`${folder}/${driverLibrary}`));
    return { found, looked: [loaderCache, ...folders] };
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

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function isListed(): boolean {
  try {
    return new TextDecoder("latin1").decode(Deno.readFileSync(loaderCache)).includes(driverLibrary);
  } catch {
    return false;
  }
}

async function openGpu(options: DeviceOptions): Promise<Device> {
  // Not worth minutes of compilation just to be told.
  if (!hasDriver() && !grantedVariable("THINKER_LIB") && !await loadsDriver()) {
    throw new UserError("no CUDA device: no NVIDIA driver is installed", { hint: withoutDriver });
  }
  try {
    return await Device.open("cuda", options);
  } catch (error) {
    const message = error instanceof NativeError && error.message.match(/no CUDA device: .*/)?.[0];
    if (!message) throw error;
    const hint = message.includes("there is no cuda:")
      ? "CUDA_VISIBLE_DEVICES may hide some"
      : withoutDriver;
    throw new UserError(message, { hint, cause: error });
  }
}
