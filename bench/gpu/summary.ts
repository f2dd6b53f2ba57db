/**
 * What the results of GPU runs come to: `summary.ts RESULTS.jsonl...` prints the parts, and every case with
 * its peers. Files of several runs are read as one.
 *
 * @module
 */
import { readJsonl } from "../../src/base/mod.ts";
import { formatLine, formatSeconds, type Line } from "./record.ts";

/** Any line of the results. */
interface Row extends Partial<Line> {
  readonly part: string;
  readonly peer?: string;
  readonly result?: string;
  readonly reason?: string;
  readonly gpu?: string;
  readonly driver?: string;
  readonly commit?: string;
  readonly date?: string;
  readonly [key: string]: unknown;
}

const key = ({ op, shape }: Row) => `${op}, ${shape}`;

/** Prefix of the parts that measure peers. */
const peerPart = "peers-";

/** The peers of one of our cases, each with its time over ours. */
function peersOf(row: Row, rows: readonly Row[]): string {
  return rows.filter((r) => r.part === peerPart + row.part && r.peer && key(r) === key(row))
    .map(({ peer, seconds, error }) =>
      error !== undefined || seconds === undefined
        ? `${peer}: ${error}`
        : row.seconds === undefined
        ? `${peer} ${formatSeconds(seconds)}`
        : `${peer} ${(seconds / row.seconds).toFixed(2)}`
    ).join("; ");
}

/** Whether a row is a case of our own. */
function isCase(row: Row): row is Row & Line {
  return row.op !== undefined && row.shape !== undefined && row.peer === undefined;
}

function formatProbe({ part: _, op, ...values }: Row): string {
  const cells = Object.entries(values).map(([name, value]) =>
    `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`
  );
  return `${op}: ${cells.join(", ")}`;
}

/** The summary of all rows, in the order in which they came. */
export function summarise(rows: readonly Row[]): string {
  const lines: string[] = [];
  for (const row of rows) {
    if (row.part === "probe" && row.op) lines.push(formatProbe(row));
    else if (isCase(row) && !row.passed) {
      const peers = peersOf(row, rows);
      lines.push(formatLine(row) + (peers && `\n    peers' time over ours: ${peers}`));
    }
  }
  // Peers of a run without our own times.
  const own = new Set(rows.filter(isCase).map((row) => `${peerPart}${row.part} ${key(row)}`));
  for (const row of rows) {
    if (row.peer === undefined || own.has(`${row.part} ${key(row)}`)) continue;
    lines.push(formatLine({ ...row, op: `${row.op}, ${row.peer}`, shape: row.shape ?? "" }));
  }
  const passed: Record<string, number> = {};
  for (const row of rows) {
    if (row.passed) passed[row.part] = (passed[row.part] ?? 0) + 1;
    if (row.part === "run") {
      lines.push("", `${row.gpu}, driver ${row.driver}, commit ${row.commit}, ${row.date}`);
    } else if (row.result !== undefined && row.op === undefined) {
      const time = row.seconds === undefined ? "" : `${row.seconds} s`.padStart(6);
      const reason = row.reason === undefined ? "" : `: ${row.reason}`;
      const tests = passed[row.part] ? `, ${passed[row.part]} tests passed` : "";
      delete passed[row.part];
      lines.push(`${row.part.padEnd(14)} ${time.padStart(6)}  ${row.result}${reason}${tests}`);
    }
  }
  return lines.join("\n");
}

if (import.meta.main) {
  const rows = await Promise.all(Deno.args.map((path) => readJsonl<Row>(path)));
  console.log(summarise(rows.flat()));
}
