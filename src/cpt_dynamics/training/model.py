"""The model that is trained, its optimizer, and the loss that is trained and validated."""

from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from cpt_dynamics.config import Batch, Config, Model, Optimizer, PretrainedModel
from cpt_dynamics.experiments import Run
from cpt_dynamics.training import pretrained

# Attention over sequences that have no padding and are never packed. When transformers compiles a model it makes a
# mask even for these, and with a mask a GPU has no FlashAttention; without one torch is told that attention is causal.
CAUSAL = "causal"
AttentionInterface.register(CAUSAL, ALL_ATTENTION_FUNCTIONS["sdpa"])
AttentionMaskInterface.register(CAUSAL, lambda *_, **__: None)


def initial(config: Config, run: Run, vocabulary: int) -> PreTrainedModel:
    """The model before the first step of a run; `UserError` where a pretrained one does not fit text or run."""
    model, spec = starting(config, run.model, vocabulary, run.phases[0].batch, run.seed), config.models[run.model]
    if isinstance(spec, PretrainedModel):
        pretrained.check(model, run.model, spec, config, run, vocabulary)
    return model


def starting(config: Config, name: str, vocabulary: int, batch: Batch, seed: int) -> PreTrainedModel:
    """The model `models.<name>`: freshly initialised, or loaded."""
    spec = config.models[name]
    return build(spec, vocabulary, batch, seed) if isinstance(spec, Model) else pretrained.load(name, spec)


def build(spec: Model, vocabulary: int, batch: Batch, seed: int) -> LlamaForCausalLM:
    """A freshly initialised model (on the CPU, so that weights do not depend on the device)."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(_config(spec, vocabulary, batch))
    set_rope(model, batch.rope_base)
    return model


def _config(spec: Model, vocabulary: int, batch: Batch) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=spec.width,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        num_key_value_heads=spec.heads,
        intermediate_size=spec.feedforward,
        max_position_embeddings=4 * batch.length,
        rope_parameters={"rope_type": "default", "rope_theta": batch.rope_base},
        tie_word_embeddings=True,
        use_cache=False,
        attn_implementation=CAUSAL,  # type: ignore[call-arg]  # goes to the configuration of any model
        bos_token_id=0,
        eos_token_id=0,
    )


def made_here(model: PreTrainedModel) -> TypeGuard[LlamaForCausalLM]:
    """Whether the kit has initialised a model; one that was loaded remembers from where."""
    return isinstance(model, LlamaForCausalLM) and not model.name_or_path


def set_rope(model: PreTrainedModel, base: float) -> None:
    """Give the rotary encoding another base, keeping the weights; a pretrained model keeps the encoding it has.

    The frequencies are computed when the module is constructed and an attribute set later is ignored, so they
    come from a fresh module and are checked.
    """
    if not made_here(model):
        return
    rotary = model.model.rotary_emb
    config = model.config
    config.rope_parameters = {"rope_type": "default", "rope_theta": base}
    fresh = LlamaRotaryEmbedding(config).inv_freq
    rotary.inv_freq.copy_(fresh)
    half = config.hidden_size // config.num_attention_heads // 2
    expected = base ** (-torch.arange(half, dtype=torch.float32) / half)
    if not torch.allclose(fresh, expected, rtol=1e-5):
        raise RuntimeError("this version of transformers ignored the base of the rotary encoding")


def non_embedding_parameters(model: PreTrainedModel) -> int:
    """N of Eq. 7: every parameter but the input and output embeddings, be they tied or not."""
    layers = [layer for layer in (model.get_input_embeddings(), model.get_output_embeddings()) if layer is not None]
    embeddings = {id(weight) for layer in layers for weight in layer.parameters()}
    return sum(p.numel() for p in model.parameters() if id(p) not in embeddings)


def adamw(model: nn.Module, spec: Optimizer) -> torch.optim.AdamW:
    """AdamW as in Table 1; weight decay on matrices, not on the gains of norms. The loop sets the LR."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    gains = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": spec.weight_decay},
        {"params": gains, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(spec.beta1, spec.beta2), eps=spec.epsilon, fused=True)


class TokenLoss(nn.Module):
    """Mean cross-entropy (nats/token) of a batch of [sequences, length + 1] token numbers."""

    def __init__(self, model: PreTrainedModel, precision: str) -> None:
        super().__init__()
        self.model = model
        self.autocast = precision == "bfloat16"

    def forward(self, batch: Tensor) -> Tensor:
        inputs, targets = batch[:, :-1], batch[:, 1:]
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=self.autocast):
            logits = self._logits(inputs)
        return functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())

    def _logits(self, inputs: Tensor) -> Tensor:
        if made_here(self.model):  # kept apart, since the compiled code decides the last bits of a loss
            hidden = self.model.model(input_ids=inputs, use_cache=False).last_hidden_state
            return self.model.lm_head(hidden)
        logits: Tensor = self.model(input_ids=inputs, use_cache=False).logits
        return logits
