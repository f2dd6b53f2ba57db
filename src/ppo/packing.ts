/**
 * Packs: sequences laid one after the other up to a token limit, with the rows that carry actions.
 *
 * @module
 */

/** A token sequence and the spans of it that the policy chose. */
export interface Sample {
  /** Token ids, prompt and actions. */
  readonly ids: ArrayLike<number>;
  /** Spans of action tokens, in order. */
  readonly spans: readonly { readonly start: number; readonly length: number }[];
}

/** Number of action tokens of a sample. */
export function actionsOf(sample: Sample): number {
  return sample.spans.reduce((total, span) => total + span.length, 0);
}

/** Sequences that go through the model together. */
export interface Pack<S extends Sample = Sample> {
  /** The sequences, in order. */
  readonly samples: readonly S[];
  /** Tokens T. */
  readonly tokens: number;
  /** Where this pack's actions begin among all actions of the batch. */
  readonly offset: number;
  /** `(n)`: the row whose hidden state predicts each action: the token before it. */
  readonly rows: Int32Array<ArrayBuffer>;
  /** `(n)`: the action tokens. */
  readonly targets: Int32Array<ArrayBuffer>;
}

/**
 * Cuts samples into packs of at most `limit` tokens, in order; a longer sample gets its own pack.
 *
 * @param offset Actions before the first sample.
 */
export function pack<S extends Sample>(
  samples: readonly S[],
  limit: number,
  offset = 0,
): Pack<S>[] {
  const packs: Pack<S>[] = [];
  let open: S[] = [], tokens = 0;
  const close = () => {
    if (open.length === 0) return;
    const made = makePack(open, offset);
    packs.push(made);
    offset += made.rows.length;
    open = [];
    tokens = 0;
  };
  for (const sample of samples) {
    if (tokens + sample.ids.length > limit) close();
    open.push(sample);
    tokens += sample.ids.length;
  }
  close();
  return packs;
}

function makePack<S extends Sample>(samples: readonly S[], offset: number): Pack<S> {
  const rows: number[] = [], targets: number[] = [];
  let base = 0;
  for (const { ids, spans } of samples) {
    for (const { start, length } of spans) {
      for (let i = start; i < start + length; i++) {
        rows.push(base + i - 1);
        targets.push(ids[i]);
      }
    }
    base += ids.length;
  }
  return {
    samples,
    tokens: base,
    offset,
    rows: Int32Array.from(rows),
    targets: Int32Array.from(targets),
  };
}

/**
 * Splits samples into `count` runs of nearly equal length; none is skipped. Fewer samples than runs
 * give fewer runs.
 */
export function split<S>(samples: readonly S[], count: number): S[][] {
  const runs = Math.min(count, samples.length);
  return Array.from(
    { length: runs },
    (_, i) =>
      samples.slice(
        Math.floor(i * samples.length / runs),
        Math.floor((i + 1) * samples.length / runs),
      ),
  );
}
