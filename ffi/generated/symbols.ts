// Written by `deno task generate`. Do not edit.

const i32 = "i32", u32 = "u32", u64 = "u64", f32 = "f32", buffer = "buffer";

/** The version that a library must report: a hash of the code of thinker.h. */
export const ABI_VERSION = 1304718775;

/** Values of an enum of thinker.h, which says what they mean. */
export const tkStatus = {
  ok: 0,
  error: 1,
  lost: 2,
} as const;

/** Values of an enum of thinker.h, which says what they mean. */
export const tkDtype = {
  f32: 0,
  bf16: 1,
  i32: 2,
} as const;

/** Values of an enum of thinker.h, which says what they mean. */
export const tkStat = {
  loss: 0,
  policy: 1,
  entropy: 2,
  kl: 3,
  klRef: 4,
  clipped: 5,
  weight: 6,
  gapMax: 7,
  value: 8,
  valueClipped: 9,
  count: 16,
} as const;

/** The functions of thinker.h: handles and addresses (u64), sizes (i32), scalars (f32), host buffers. */
export const symbols = {
  tk_abi_version: { parameters: [], result: i32 },
  tk_last_error: { parameters: [buffer, i32], result: i32 },
  tk_device_open: { parameters: [i32, i32, buffer], result: i32 },
  tk_device_close: { parameters: [u64], result: i32 },
  tk_device_info: { parameters: [u64, buffer, i32], result: i32 },
  tk_memory_alloc: { parameters: [u64, u64, buffer], result: i32 },
  tk_memory_free: { parameters: [u64, u64], result: i32 },
  tk_stream_create: { parameters: [u64, buffer], result: i32 },
  tk_stream_destroy: { parameters: [u64], result: i32 },
  tk_stream_sync: { parameters: [u64], result: i32, nonblocking: true },
  tk_upload: { parameters: [u64, u64, buffer, u64], result: i32 },
  tk_download: { parameters: [u64, buffer, u64, u64], result: i32, nonblocking: true },
  tk_readback_begin: { parameters: [u64, u64, u64, buffer], result: i32 },
  tk_readback_end: { parameters: [u64, u64, buffer], result: i32, nonblocking: true },
  tk_copy: { parameters: [u64, u64, u64, u64], result: i32 },
  tk_fill: { parameters: [u64, u64, u32, u64], result: i32 },
  tk_event_create: { parameters: [u64, buffer], result: i32 },
  tk_event_destroy: { parameters: [u64], result: i32 },
  tk_event_record: { parameters: [u64, u64], result: i32 },
  tk_stream_wait_event: { parameters: [u64, u64], result: i32 },
  tk_event_elapsed: { parameters: [u64, u64, buffer], result: i32 },
  tk_graph_begin: { parameters: [u64], result: i32 },
  tk_graph_end: { parameters: [u64, buffer], result: i32 },
  tk_graph_launch: { parameters: [u64, u64], result: i32 },
  tk_graph_destroy: { parameters: [u64], result: i32 },
  tk_linear_packed_bytes: { parameters: [u64, i32, i32, i32, buffer], result: i32 },
  tk_linear_pack: { parameters: [u64, u64, u64, i32, i32, i32], result: i32 },
  tk_linear_forward: { parameters: [u64, u64, u64, u64, u64, i32, i32, i32, i32, i32, i32], result: i32 },
  tk_linear_backward_input: { parameters: [u64, u64, u64, u64, i32, i32, i32, i32, i32, i32], result: i32 },
  tk_linear_backward_weight: { parameters: [u64, u64, u64, u64, u64, i32, i32, i32, i32], result: i32 },
  tk_embedding_forward: { parameters: [u64, u64, u64, u64, i32, i32, i32, i32], result: i32 },
  tk_embedding_backward: { parameters: [u64, u64, u64, u64, i32, i32, i32, i32], result: i32 },
  tk_rmsnorm_forward: { parameters: [u64, u64, u64, u64, u64, u64, u64, i32, i32, f32, i32], result: i32 },
  tk_rmsnorm_backward: { parameters: [u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, i32], result: i32 },
  tk_qk_norm_forward: { parameters: [u64, u64, u64, u64, u64, u64, i32, i32, i32, i32, f32, i32], result: i32 },
  tk_qk_norm_backward: { parameters: [u64, u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, i32, i32], result: i32 },
  tk_rope: { parameters: [u64, u64, u64, u64, i32, i32, i32, i32, i32, i32, i32], result: i32 },
  tk_rope_kv_write: { parameters: [u64, u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, i32, i32, i32, i32, i32], result: i32 },
  tk_kv_copy_blocks: { parameters: [u64, u64, u64, u64, i32, i32, i32, i32, i32], result: i32 },
  tk_attention_forward: { parameters: [u64, u64, u64, u64, u64, i32, i32, i32, i32, i32, f32, i32], result: i32 },
  tk_attention_backward: { parameters: [u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, i32, i32, f32, i32], result: i32 },
  tk_attention_paged: { parameters: [u64, u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, i32, i32, i32, i32, f32, i32], result: i32 },
  tk_swiglu_forward: { parameters: [u64, u64, u64, i32, i32, i32], result: i32 },
  tk_swiglu_backward: { parameters: [u64, u64, u64, u64, i32, i32, i32], result: i32 },
  tk_gather_rows: { parameters: [u64, u64, u64, u64, i32, i32, i32], result: i32 },
  tk_scatter_add_rows: { parameters: [u64, u64, u64, u64, i32, i32, i32], result: i32 },
  tk_cast: { parameters: [u64, u64, u64, i32, i32, i32], result: i32 },
  tk_lm_head_logprobs: { parameters: [u64, u64, u64, u64, u64, f32, i32, i32, i32, u64, u64, i32, i32], result: i32 },
  tk_lm_head_sample: { parameters: [u64, u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, u64, u64, i32, i32], result: i32 },
  tk_decode_advance: { parameters: [u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, i32, i32, i32], result: i32 },
  tk_write_words: { parameters: [u64, u64, u64, i32, i32], result: i32 },
  tk_cross_entropy_loss: { parameters: [u64, u64, u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, u64, u64, i32, i32], result: i32 },
  tk_ppo_loss: { parameters: [u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, f32, f32, f32, f32, f32, i32, i32, i32, i32, u64, u64, i32, i32], result: i32 },
  tk_value_loss: { parameters: [u64, u64, u64, u64, u64, u64, u64, f32, i32], result: i32 },
  tk_gae: { parameters: [u64, u64, u64, u64, u64, u64, u64, i32, i32, f32, f32], result: i32 },
  tk_whiten: { parameters: [u64, u64, i32], result: i32 },
  tk_grad_norm: { parameters: [u64, u64, u64, u64], result: i32 },
  tk_adamw: { parameters: [u64, u64, u64, u64, u64, u64, u64, f32, f32, f32, f32, f32, f32, i32], result: i32 },
} as const satisfies Deno.ForeignLibraryInterface;
