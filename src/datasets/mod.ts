/**
 * Published data sets: where each one comes from, its download, checksums, and the conversion to rows.
 *
 * @module
 */
export { formatLock, type Lock, type LockedFile, lockKey, readLock } from "./lock.ts";
export {
  fetchSet,
  findFile,
  importSet,
  type PreparedSet,
  type PrepareOptions,
  type Proof,
} from "./prepare.ts";
export {
  type DataSource,
  dataSources,
  type Endpoints,
  publicEndpoints,
  sourcePath,
} from "./sources.ts";
