#include "runtime.h"
using namespace tk;
extern "C" {
__attribute__((weak)) int32_t tk_embedding_forward(uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_embedding_backward(uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_rmsnorm_forward(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,float,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_rmsnorm_backward(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_rope(uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t,int32_t,int32_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_rope_kv_write(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t,int32_t,int32_t,int32_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_kv_copy_blocks(uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_attention_forward(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t,int32_t,int32_t,float,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_attention_backward(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t,int32_t,int32_t,float,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_attention_paged(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t,int32_t,int32_t,int32_t,float,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_swiglu_forward(uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_swiglu_backward(uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_gather_rows(uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_scatter_add_rows(uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_cast(uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_lm_head_logprobs(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,float,int32_t,int32_t,int32_t,uint64_t,uint64_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_lm_head_sample(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t,uint64_t,uint64_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_decode_advance(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_cross_entropy_loss(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,int32_t,uint64_t,uint64_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_ppo_loss(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,float,float,float,float,float,int32_t,int32_t,int32_t,int32_t,uint64_t,uint64_t,int32_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_value_loss(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,float,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_gae(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,int32_t,int32_t,float,float) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_whiten(uint64_t,uint64_t,int32_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_grad_norm(uint64_t,uint64_t,uint64_t,uint64_t) { return guarded([] { require(false, "pending"); }); }
__attribute__((weak)) int32_t tk_adamw(uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,uint64_t,float,float,float,float,float,float,int32_t) { return guarded([] { require(false, "pending"); }); }
}
