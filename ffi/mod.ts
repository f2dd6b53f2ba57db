/**
 * The native engine: the only folder that touches `Deno.dlopen`. It builds and loads a backend library
 * and wraps every op of its C ABI in one typed function that checks shapes.
 *
 * @module
 */

export { kernelCache } from "./store.ts";
export { BuildInterrupted } from "./interruption.ts";
export { type Backend, type BuildOptions, libraryPath } from "./build.ts";
export { type ProgramResult, runProgram } from "./child.ts";
export { backendOf, type DeviceChoice, hasDriver, isDeviceChoice, openDevice } from "./choose.ts";
export * from "./device.ts";
export { tkStat as stat } from "./generated/symbols.ts";
export { Library, NativeError } from "./library.ts";
export { Allocation, Arena } from "./memory.ts";
export {
  type DType,
  dtypeBytes,
  expectTensor,
  type Precision,
  precisions,
  type Storage,
  Tensor,
} from "./tensor.ts";
export {
  arenaBytes,
  arenaTensors,
  rowsOf,
  specBytes,
  type Tensors,
  TensorSet,
  type TensorSpecs,
} from "./tensor_set.ts";
export * from "./ops/attention.ts";
export * from "./ops/head.ts";
export * from "./ops/layers.ts";
export * from "./ops/linear.ts";
export * from "./ops/losses.ts";
export * from "./ops/optimizer.ts";
