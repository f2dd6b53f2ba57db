// unwritten.cu: ops that the CUDA backend does not have yet. A definition elsewhere takes precedence.
#include <string>

namespace tk {
void set_last_error(const std::string& message);
}

#define UNWRITTEN(op)                                                        \
  extern "C" __attribute__((weak, visibility("default"))) int tk_##op() {    \
    tk::set_last_error("not written for CUDA yet");                          \
    return 1;                                                                \
  }

UNWRITTEN(embedding_forward)
UNWRITTEN(embedding_backward)
UNWRITTEN(rmsnorm_forward)
UNWRITTEN(rmsnorm_backward)
UNWRITTEN(rope)
UNWRITTEN(rope_kv_write)
UNWRITTEN(kv_copy_blocks)
UNWRITTEN(attention_forward)
UNWRITTEN(attention_backward)
UNWRITTEN(attention_paged)
UNWRITTEN(swiglu_forward)
UNWRITTEN(swiglu_backward)
UNWRITTEN(gather_rows)
UNWRITTEN(scatter_add_rows)
UNWRITTEN(cast)
UNWRITTEN(decode_advance)
UNWRITTEN(value_loss)
UNWRITTEN(gae)
UNWRITTEN(whiten)
