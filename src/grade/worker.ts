/**
 * The inside of a grading worker: answers one question after the other.
 *
 * @module
 */
import process from "node:process";
import { parentPort } from "node:worker_threads";
import type { Finding } from "./precise.ts";
import { sameSymbolic, type SymbolicQuestion } from "./symbolic.ts";

/** What a worker says: that it is ready, or what it found. */
export type WorkerMessage = "ready" | Finding;

// compute-engine reports what it cannot parse; that is a verdict here, no news.
console.error = console.warn = () => {};
// It also reads an environment variable; the worker shall need no permission for that.
Object.defineProperty(process, "env", { value: {} });
const { ComputeEngine } = await import("npm:@cortex-js/compute-engine@0.140.0");
const engine = new ComputeEngine();

parentPort?.on("message", (question: SymbolicQuestion) => {
  let finding: Finding = "unknown";
  try {
    finding = sameSymbolic(engine, question);
  } catch {
    // A text that makes compute-engine throw (too deep, too large) is one it cannot decide.
  }
  parentPort?.postMessage(finding satisfies WorkerMessage);
});
parentPort?.postMessage("ready" satisfies WorkerMessage);
