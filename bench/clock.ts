/**
 * What benchmarks read the time from.
 *
 * @module
 */
import process from "node:process";

let cpuTime = false;

/**
 * With one thread, the CPU time of this process is read instead of the wall clock: other work on the
 * machine hardly touches it. With several threads it would count their waiting for each other.
 */
export function useClockFor(threads: number): void {
  cpuTime = threads === 1;
}

/** Seconds since some moment. */
export function now(): number {
  if (!cpuTime) return performance.now() / 1000;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
