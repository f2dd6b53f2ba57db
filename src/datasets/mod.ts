/**
 * Data from the network: the table of published data sets, downloads that survive dropped connections,
 * checksums, and the conversion to rows. The only room that connects to anything.
 *
 * @module
 */
export { type Checksum, checksumOfEtag, fileChecksum } from "./checksum.ts";
export { download, type Downloaded, type DownloadOptions } from "./download.ts";
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
  sourceUrl,
} from "./sources.ts";
