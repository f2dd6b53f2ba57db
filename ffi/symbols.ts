/**
 * The symbol table of kernels/include/thinker.h, function by function. A test parses the header and
 * compares it with this table, so the two cannot drift apart.
 *
 * @module
 */

const i32 = "i32";
const u32 = "u32";
const u64 = "u64";
const f32 = "f32";
const buffer = "buffer";

/** The version that the library must report; equals TK_ABI_VERSION. */
export const ABI_VERSION = 3;

/** The status of the call that found the GPU lost; equals TK_LOST. */
export const LOST = 2;

/** Parameters are handles and addresses (u64), sizes (i32), scalars (f32) and host buffers. */
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
  tk_linear_forward: {
    parameters: [u64, u64, u64, u64, u64, i32, i32, i32, i32, i32, i32],
    result: i32,
  },
  tk_linear_backward_input: {
    parameters: [u64, u64, u64, u64, i32, i32, i32, i32, i32, i32],
    result: i32,
  },
  tk_linear_backward_weight: {
    parameters: [u64, u64, u64, u64, u64, i32, i32, i32, i32],
    result: i32,
  },
  tk_embedding_forward: { parameters: [u64, u64, u64, u64, i32, i32, i32, i32], result: i32 },
  tk_embedding_backward: { parameters: [u64, u64, u64, u64, i32, i32, i32, i32], result: i32 },
  tk_rmsnorm_forward: {
    parameters: [u64, u64, u64, u64, u64, u64, u64, i32, i32, f32, i32],
    result: i32,
  },
  tk_rmsnorm_backward: {
    parameters: [u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, i32],
    result: i32,
  },
  tk_qk_norm_forward: {
    parameters: [u64, u64, u64, u64, u64, u64, i32, i32, i32, i32, f32, i32],
    result: i32,
  },
  tk_qk_norm_backward: {
    parameters: [u64, u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, i32, i32],
    result: i32,
  },
  tk_rope: { parameters: [u64, u64, u64, u64, i32, i32, i32, i32, i32, i32, i32], result: i32 },
  tk_rope_kv_write: {
    parameters: [u64, u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, i32, i32, i32, i32, i32],
    result: i32,
  },
  tk_kv_copy_blocks: { parameters: [u64, u64, u64, u64, i32, i32, i32, i32, i32], result: i32 },
  tk_attention_forward: {
    parameters: [u64, u64, u64, u64, u64, i32, i32, i32, i32, i32, f32, i32],
    result: i32,
  },
  tk_attention_backward: {
    parameters: [u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, i32, i32, f32, i32],
    result: i32,
  },
  tk_attention_paged: {
    parameters: [u64, u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, i32, i32, i32, f32, i32],
    result: i32,
  },
  tk_swiglu_forward: { parameters: [u64, u64, u64, i32, i32, i32], result: i32 },
  tk_swiglu_backward: { parameters: [u64, u64, u64, u64, i32, i32, i32], result: i32 },
  tk_gather_rows: { parameters: [u64, u64, u64, u64, i32, i32, i32], result: i32 },
  tk_scatter_add_rows: { parameters: [u64, u64, u64, u64, i32, i32, i32], result: i32 },
  tk_cast: { parameters: [u64, u64, u64, i32, i32, i32], result: i32 },
  tk_lm_head_logprobs: {
    parameters: [u64, u64, u64, u64, u64, u64, f32, i32, i32, i32, u64, u64, i32, i32],
    result: i32,
  },
  tk_lm_head_sample: {
    parameters: [u64, u64, u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, u64, u64, i32, i32],
    result: i32,
  },
  tk_decode_advance: {
    parameters: [u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, i32, i32, i32],
    result: i32,
  },
  tk_cross_entropy_loss: {
    parameters: [u64, u64, u64, u64, u64, u64, u64, u64, u64, i32, i32, i32, u64, u64, i32, i32],
    result: i32,
  },
  tk_ppo_loss: {
    parameters: [
      u64,
      u64,
      u64,
      u64,
      u64,
      u64,
      u64,
      u64,
      u64,
      u64,
      u64,
      u64,
      u64,
      f32,
      f32,
      f32,
      f32,
      f32,
      i32,
      i32,
      i32,
      i32,
      u64,
      u64,
      i32,
      i32,
    ],
    result: i32,
  },
  tk_value_loss: { parameters: [u64, u64, u64, u64, u64, u64, u64, f32, i32], result: i32 },
  tk_gae: { parameters: [u64, u64, u64, u64, u64, u64, u64, i32, i32, f32, f32], result: i32 },
  tk_whiten: { parameters: [u64, u64, i32], result: i32 },
  tk_grad_norm: { parameters: [u64, u64, u64, u64], result: i32 },
  tk_adamw: {
    parameters: [u64, u64, u64, u64, u64, u64, u64, f32, f32, f32, f32, f32, f32, i32],
    result: i32,
  },
} as const satisfies Deno.ForeignLibraryInterface;
