/**
 * The memory planner: what a training run takes on its device, before anything is allocated.
 *
 * It adds up the specs that the allocating code itself uses, so a plan is what a run takes; only the
 * rollout, whose length is not known beforehand, is counted as if every turn spent its budget.
 *
 * @module
 */
import { engineSpecs } from "../engine/mod.ts";
import { formatBytes, UserError } from "../base/mod.ts";
import { type HeadKind, type ModelConfig, parameterSpecs, ropeTableSpecs } from "../model/mod.ts";
import { adamSpecs, passSpecs, rolloutSpecs } from "../ppo/mod.ts";
import { dtypeBytes, type Precision, specBytes, type TensorSpecs } from "../../ffi/mod.ts";
import type { Task } from "../task/mod.ts";
import type { TrainConfig } from "./config.ts";

/** One line of the table. */
export interface MemoryRow {
  /** What takes it. */
  readonly name: string;
  /** How much it takes. */
  readonly bytes: number;
}

/** What a run takes, part by part. */
export interface MemoryPlan {
  /** On each device. */
  readonly rows: readonly MemoryRow[];
  /** The sum of the rows. */
  readonly total: number;
  /** What lies in host memory instead, for each device. */
  readonly host: number;
}

/** What the tasks say about the sequences of a run. */
export interface SequenceLimits {
  /** Longest episode of any task that runs, in tokens. */
  readonly maxTokens: number;
  /** Tokens that end a turn. */
  readonly stop: readonly number[];
  /** Where the run computes; default: on the CPU. */
  readonly backend?: "cpu" | "cuda";
}

/** The same, and what an episode of the task that is trained consists of. */
export interface RunLimits extends SequenceLimits {
  /** The task that is trained. */
  readonly task: Pick<Task, "turns">;
}

/** How a backend lays out what it computes with. */
interface Layout {
  readonly dtype: Precision;
  readonly kvTile: number;
  packedBytes(N: number, K: number, dtype: Precision): number;
}

const layouts: Record<"cpu" | "cuda", Layout> = {
  // Where it is widest (AVX-512): elsewhere padding takes less.
  cpu: {
    dtype: "f32",
    kvTile: 16,
    packedBytes: (N, K, dtype) => dtypeBytes[dtype] * Math.ceil(N / 32) * 32 * K,
  },
  cuda: {
    dtype: "bf16",
    kvTile: 64,
    packedBytes: (N, K, dtype) => dtype === "f32" ? 4 * N * K : 2 * N * Math.ceil(K / 8) * 8,
  },
};

/** Share of a device's memory that a run may take: the rest is for the system and for host copies. */
const usableShare = 0.9;

/** How one model lies in memory. */
interface ModelKind {
  /** With gradients and the two Adam moments. */
  readonly train: boolean;
  readonly weights: Precision;
  readonly layout: Layout;
  readonly parallel?: TrainConfig["parallel"];
}

/** The parts of one model on a device, and what of it lies in host memory. */
function modelRows(
  name: string,
  model: ModelConfig,
  head: HeadKind,
  { train, weights, layout, parallel }: ModelKind,
): { rows: MemoryRow[]; host: number } {
  const specs = parameterSpecs(model, head, { train, weights }, layout.packedBytes);
  const { master: [, size], grads: _, ...packed } = specs;
  const { ranks = 1, shard = "none", offload = "none" } = train && parallel || {};
  /** A flat buffer, or a rank's share of it. */
  const flat = (shared: boolean) => shared ? Math.ceil(size / ranks) : size;
  const held = flat(shard !== "none"), master = { master: ["f32", held] } as const;
  const moments = adamSpecs(held),
    gradients = { grads: ["f32", flat(shard === "gradients")] } as const;
  const away = offload === "optimizer", whole = !away && (shard === "none" || ranks === 1);
  // The embedding is read from the float32 weights where they are whole, else from a copy like the packed.
  const embedding = { embedding: [weights, model.vocab, model.hidden] } as const;
  const row = (what: string, specs: TensorSpecs) => [
    { name: `${name}: ${what}`, bytes: specBytes(specs) },
  ];
  return {
    rows: [
      ...(away ? [] : row("weights", master)),
      ...row("packed weights", packed),
      ...(whole ? [] : row("embedding", embedding)),
      ...(train ? row("gradients", gradients) : []),
      ...(train && !away ? row("Adam moments", moments) : []),
    ],
    host: away ? specBytes(master) + specBytes(moments) : 0,
  };
}

/** The arrays over one rollout in which every turn spends its budget. */
function longestRollout({ ppo, parallel }: TrainConfig, task: RunLimits["task"]): TensorSpecs {
  const episodes = Math.ceil(ppo.questions / parallel.ranks) * ppo.samples;
  const turns = task.turns("train");
  const perEpisode = turns.reduce((sum, { most }) => sum + most, 0);
  const actions = turns.reduce((sum, { stage, most }) => sum + most * stage.budget, 0);
  return rolloutSpecs(episodes * actions, episodes * perEpisode, ppo);
}

/** Adds up what `train` will allocate for a config and the model that it starts from. */
export function planMemory(
  config: TrainConfig,
  model: ModelConfig,
  limits: RunLimits,
): MemoryPlan {
  const critic = config.ppo.estimator === "gae", reference = config.ppo.klCoefficient > 0;
  const models = 1 + Number(critic) + Number(reference);
  const layout = layouts[limits.backend ?? "cpu"], { dtype, kvTile } = layout;
  const passed = { config: model, recompute: config.recompute, dtype };
  const { arena, ...passes } = passSpecs([passed], config.ppo.packTokens);
  const engine = engineSpecs(model, { ...config.engine, ...limits }, kvTile, dtype);
  const kind = { weights: config.weightDtype ?? dtype, layout, parallel: config.parallel };
  const parts = [
    modelRows("actor", model, "lm", { ...kind, train: true }),
    ...(critic ? [modelRows("critic", model, "value", { ...kind, train: true })] : []),
    ...(reference ? [modelRows("reference", model, "lm", { ...kind, train: false })] : []),
  ];
  const rows = [
    ...parts.flatMap((part) => part.rows),
    { name: "RoPE tables", bytes: models * specBytes(ropeTableSpecs(model, model.maxPositions)) },
    { name: "activations of a pack", bytes: specBytes({ arena }) },
    { name: "loss workspace", bytes: specBytes(passes) },
    { name: "KV cache", bytes: specBytes(engine.cache) },
    { name: "engine buffers", bytes: specBytes(engine.layers) + specBytes(engine.state) },
    { name: "rollout, at most", bytes: specBytes(longestRollout(config, limits.task)) },
  ];
  return {
    rows,
    total: rows.reduce((total, { bytes }) => total + bytes, 0),
    host: parts.reduce((total, { host }) => total + host, 0),
  };
}

/** Bytes of a device that a run may take. */
export function usableBytes(deviceBytes: number): number {
  return Math.floor(usableShare * deviceBytes);
}

/**
 * The KV cache of a run that only generates: room for `parallel` of the longest sequences, or as much
 * as the device has beside the weights.
 *
 * @returns Tokens of the cache.
 * @throws {UserError} when not even one sequence fits.
 */
export function generationCache(
  model: ModelConfig,
  options: SequenceLimits & {
    readonly parallel: number;
    readonly deviceBytes: number;
    readonly weights?: Precision;
  },
): number {
  const { parallel, deviceBytes, maxTokens } = options;
  const layout = layouts[options.backend ?? "cpu"], { dtype, kvTile } = layout;
  const round = (tokens: number) => Math.ceil(tokens / kvTile) * kvTile;
  const fixed = modelRows("model", model, "lm", {
    train: false,
    weights: options.weights ?? dtype,
    layout,
  }).rows
    .reduce(
      (total, row) => total + row.bytes,
      specBytes(ropeTableSpecs(model, model.maxPositions)),
    );
  const bytes = (cacheTokens: number) => {
    const sizes = { ...options, maxSequences: parallel, cacheTokens };
    const { cache, layers, state } = engineSpecs(model, sizes, kvTile, dtype);
    return fixed + specBytes(cache) + specBytes(layers) + specBytes(state);
  };
  // A block more for each sequence: the block in which a shared prompt ends is copied.
  const longest = round(maxTokens) + kvTile, most = parallel * longest;
  const usable = usableBytes(deviceBytes), needed = bytes(longest);
  if (needed > usable) {
    throw new UserError(
      `the model with a sequence of ${maxTokens} tokens takes ${formatBytes(needed)}, but of the ` +
        `device's ${formatBytes(deviceBytes)} only ${formatBytes(usable)} can be used`,
      { hint: "lower the token budgets, or --parallel" },
    );
  }
  const perToken = (bytes(most + kvTile) - bytes(most)) / kvTile;
  const room = longest + Math.floor((usable - needed) / perToken / kvTile) * kvTile;
  return Math.min(most, room);
}

/** One setting changed. */
export interface SettingChange {
  /** Dotted path in the config. */
  readonly setting: string;
  /** Its value now. */
  readonly from: number | boolean | string;
  /** Its value then. */
  readonly to: number | boolean | string;
}

/** Settings changed together, and what the run takes then. */
export interface MemoryChange {
  /** What changes. */
  readonly settings: readonly SettingChange[];
  /** The memory with all of them. */
  readonly plan: MemoryPlan;
}

/** Most GPUs that are suggested. */
const mostRanks = 64;

/**
 * The changes that make a run fit, the smallest first; none when none is enough.
 *
 * Where it does on one device as it is: of a smaller KV cache (fewer sequences at a time) and smaller packs
 * the one that keeps the larger share of its setting, or else recomputed activations (about a third
 * more work in training). Where that is not enough and the device is a GPU: the optimizer in host memory,
 * and the fewest GPUs that do, with as little sharded as suffices.
 */
export function fittingChanges(
  config: TrainConfig,
  model: ModelConfig,
  options: RunLimits & { readonly deviceBytes: number },
): MemoryChange[] {
  const usable = usableBytes(options.deviceBytes);
  const plan = (changed: TrainConfig) => planMemory(changed, model, options);
  const { engine, ppo } = config;
  /** The largest fitting value below `from`; memory grows with every one of these settings. */
  const shrink = (
    setting: "engine.cacheTokens" | "ppo.packTokens",
    from: number,
    least: number,
    change: (value: number) => TrainConfig,
  ): MemoryChange[] => {
    const fits = (value: number) => plan(change(value)).total <= usable;
    if (least >= from || !fits(least)) return [];
    let low = least, high = from;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (fits(middle)) low = middle;
      else high = middle;
    }
    const to = Math.max(least, Math.floor(low / 64) * 64);
    return [{ settings: [{ setting, from, to }], plan: plan(change(to)) }];
  };
  // One block more than the longest sequence: the block in which its prompt ends may be copied.
  const { kvTile } = layouts[options.backend ?? "cpu"];
  const leastCache = (Math.ceil(options.maxTokens / kvTile) + 1) * kvTile;
  const smaller = [
    ...shrink("engine.cacheTokens", engine.cacheTokens, leastCache, (cacheTokens) => ({
      ...config,
      engine: { ...engine, cacheTokens },
    })),
    ...shrink("ppo.packTokens", ppo.packTokens, options.maxTokens, (packTokens) => ({
      ...config,
      ppo: { ...ppo, packTokens },
    })),
  ];
  const kept = ({ settings: [{ from, to }] }: MemoryChange) => Number(to) / Number(from);
  if (smaller.length > 0) return [smaller.reduce((a, b) => kept(b) > kept(a) ? b : a)];
  const recomputed = plan({ ...config, recompute: true });
  if (!config.recompute && recomputed.total <= usable) {
    return [{ settings: [{ setting: "recompute", from: false, to: true }], plan: recomputed }];
  }
  return options.backend === "cuda" ? spread(config, plan, usable) : [];
}

/** Changes of `parallel` that make a run fit. */
function spread(
  config: TrainConfig,
  plan: (changed: TrainConfig) => MemoryPlan,
  usable: number,
): MemoryChange[] {
  const before = config.parallel;
  const fitting = (parallel: TrainConfig["parallel"]): MemoryChange[] => {
    const changed = plan({ ...config, parallel });
    if (changed.total > usable) return [];
    const keys = (["ranks", "shard", "offload"] as const).filter((k) => parallel[k] !== before[k]);
    const settings = keys.map((key) => ({
      setting: `parallel.${key}`,
      from: before[key],
      to: parallel[key],
    }));
    return [{ settings, plan: changed }];
  };
  const offloaded = before.offload === "none" ? fitting({ ...before, offload: "optimizer" }) : [];
  const kinds = ["none", "optimizer", "gradients"] as const;
  for (let ranks = Math.max(2, before.ranks); ranks <= mostRanks; ranks *= 2) {
    const sharded = kinds.flatMap((shard) => fitting({ ...before, ranks, shard }));
    if (sharded.length > 0) return [...offloaded, sharded[0]];
  }
  return offloaded;
}

/** The table as lines of text: the device's parts, their total, and what lies in host memory. */
export function formatPlan(plan: MemoryPlan): string {
  const host = plan.host > 0 ? [{ name: "in host memory", bytes: plan.host }] : [];
  const rows = [...plan.rows, { name: "total", bytes: plan.total }, ...host];
  const lines = rows.map(({ name, bytes }) => [name, formatBytes(bytes)]);
  const width = (column: number) => Math.max(...lines.map((line) => line[column].length));
  const [names, amounts] = [width(0), width(1)];
  return lines.map(([name, amount]) => `  ${name.padEnd(names)}  ${amount.padStart(amounts)}`)
    .join("\n");
}

/** What to do about a run that does not fit, line by line: the smallest change, other ways, notes. */
export function adviseChange(changes: readonly MemoryChange[]): string[] {
  const [smallest, ...others] = changes;
  if (!smallest) {
    return [
      "no single change of engine.cacheTokens, ppo.packTokens or recompute is enough: " +
      "take a smaller model or more memory",
    ];
  }
  const planned = changes.some(({ settings }) =>
    settings.some(({ setting }) => setting.startsWith("parallel."))
  );
  return [
    `the smallest change that fits: ${describeChange(smallest)}`,
    ...others.map((change) => `or: ${describeChange(change)}`),
    ...(planned ? ["settings under parallel can be planned, but do not run yet"] : []),
  ];
}

function describeChange({ settings, plan }: MemoryChange): string {
  const show = (value: SettingChange["to"]) =>
    typeof value === "string" ? `"${value}"` : `${value}`;
  const set = settings.map(({ setting, from, to }) =>
    `${setting} to ${show(to)} instead of ${show(from)}`
  );
  const ranks = settings.find(({ setting }) => setting === "parallel.ranks");
  const where = ranks ? `on each of ${ranks.to} GPUs` : "in all";
  const host = plan.host > 0 ? `, and ${formatBytes(plan.host)} of host memory` : "";
  return `set ${set.join(" and ")} (${formatBytes(plan.total)} ${where}${host})`;
}

/**
 * Refuses a run that does not fit its device.
 *
 * @throws {UserError} with the table, and the smallest change that makes it fit as the hint.
 */
export function checkMemory(
  config: TrainConfig,
  model: ModelConfig,
  options: RunLimits & { readonly deviceBytes: number },
): void {
  const plan = planMemory(config, model, options);
  const usable = usableBytes(options.deviceBytes);
  if (plan.total <= usable) return;
  throw new UserError(
    `this run takes ${formatBytes(plan.total)}, but of the device's ` +
      `${formatBytes(options.deviceBytes)} only ${formatBytes(usable)} can be used\n` +
      formatPlan(plan),
    { hint: adviseChange(fittingChanges(config, model, options)).join("; ") },
  );
}
