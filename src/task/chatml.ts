/**
 * The turns of training as a chat template: what lets other programs write them too.
 *
 * @module
 */

/**
 * A chat template (Jinja) that writes a conversation as {@linkcode Task} writes one: the model's own opening
 * tokens, the system turn of training unless the conversation brings another, and ChatML turns.
 *
 * @param prefix Control tokens that a sequence begins with, spelled out.
 * @param system Text of the system turn; without it there is none.
 */
export function chatMLTemplate(prefix: string, system?: string): string {
  // As string literals: raw text may read as Jinja, and renderers trim what stands around tags.
  const literal = JSON.stringify;
  return (prefix === "" ? "" : `{{ ${literal(prefix)} }}`) +
    (system === undefined ? "" : "{% if messages[0].role != 'system' %}" +
      `{{ ${literal(`<|im_start|>system\n${system}<|im_end|>\n`)} }}{% endif %}`) +
    "{% for message in messages %}" +
    `{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}` +
    "{% endfor %}" +
    `{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;
}
