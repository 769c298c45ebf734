"""The same models written plainly in PyTorch, to measure against."""

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """A pre-norm block without biases, as in the recipe gpt-nano."""

    def __init__(self, width: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(width, bias=False)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.feed_forward_norm = nn.LayerNorm(width, bias=False)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width, bias=False),
            nn.GELU(approximate="tanh"),
            nn.Linear(4 * width, width, bias=False),
        )

    def forward(self, x: torch.Tensor, cache: list | None = None) -> torch.Tensor:
        """Map (B, T, D) to (B, T, D); a cache, [keys, values] so far, is extended in place."""
        batch, length, width = x.shape
        query, key, value = (
            part.view(batch, length, self.num_heads, -1).transpose(1, 2)
            for part in self.query_key_value(self.attention_norm(x)).split(width, dim=2)
        )
        if cache is not None:
            if cache:
                key = torch.cat([cache[0], key], dim=2)
                value = torch.cat([cache[1], value], dim=2)
            cache[:] = key, value
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=length > 1)
        x = x + self.output(attended.transpose(1, 2).reshape(batch, length, width))
        return x + self.feed_forward(self.feed_forward_norm(x))


class TorchGPT(nn.Module):
    """A GPT with tied embeddings and learnt positions."""

    def __init__(self, vocab_size: int, context_length: int, layers: int, heads: int, width: int):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(context_length, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, bias=False)

    def forward(
        self, token_ids: torch.Tensor, caches: list | None = None, index: int = 0
    ) -> torch.Tensor:
        """Map ids (B, T) from position `index` to logits (B, T, V)."""
        x = self.tokens(token_ids) + self.positions.weight[index : index + token_ids.shape[1]]
        for n, block in enumerate(self.blocks):
            x = block(x, None if caches is None else caches[n])
        return self.norm(x) @ self.tokens.weight.T

    @torch.no_grad()
    def generate(self, token_ids: torch.Tensor, number: int) -> torch.Tensor:
        """Continue ids (B, T) by `number` tokens, the likeliest each time, with a cache."""
        caches: list[list] = [[] for _ in self.blocks]
        logits = self(token_ids, caches)
        for _ in range(number):
            token_ids = torch.cat([token_ids, logits[:, -1:].argmax(dim=-1)], dim=1)
            logits = self(token_ids[:, -1:], caches, token_ids.shape[1] - 1)
        return token_ids


class TorchLSTM(nn.Module):
    """An LSTM language model."""

    def __init__(self, vocab_size: int, width: int, layers: int):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.output = nn.Linear(width, vocab_size, bias=False)

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Map ids (B, T) to logits (B, T, V)."""
        return self.output(self.lstm(self.tokens(token_ids))[0])


def training_step(model: nn.Module, token_ids: torch.Tensor) -> "callable":
    """Return a function that takes one training step: AdamW, gradients clipped to length 1."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, betas=(0.9, 0.99), weight_decay=0.1)
    inputs, targets = token_ids[:, :-1], token_ids[:, 1:].reshape(-1)

    def step() -> float:
        logits = model(inputs)
        loss = functional.cross_entropy(logits.view(-1, logits.shape[-1]), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step
