"""Builds a very small Whisper model with random weights: the real loader and decoder run on it.

What it transcribes is nonsense, but the same nonsense every time, and other nonsense for other sounds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = 32
HEADS = 2
MELS = 80
POSITIONS = 1500
"""CTranslate2 wants the 3,000 frames of half a minute, halved by the second convolution."""
SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)


def build(folder: Path, *, seed: int = 0) -> Path:
    """Write model.bin, config.json, vocabulary.json, tokenizer.json and preprocessor_config.json."""
    from ctranslate2.specs import whisper_spec

    folder.mkdir(parents=True, exist_ok=True)
    words = _write_tokenizer(folder / "tokenizer.json")
    timestamps = [f"<|{index * 0.02:.2f}|>" for index in range(1501)]
    vocabulary = [*words, *SPECIAL, *timestamps]
    spec = whisper_spec.WhisperSpec(2, HEADS, 2, HEADS)
    _fill(spec, len(vocabulary), np.random.default_rng(seed))
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.lang_ids = []
    spec.config.alignment_heads = [[1, 0]]
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    settings = {"feature_size": MELS, "sampling_rate": 16_000, "hop_length": 160, "n_fft": 400}
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "chunk_length": 30}))
    return folder


def _write_tokenizer(path: Path) -> list[str]:
    """Byte-level pairs without merges: one token per byte. Text tokens come before the special ones."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, "Ġcard", "Ġbalance", "Ġyes", "Ġ-", "Ġ'"]
    model = models.BPE(vocab={word: index for index, word in enumerate(words)}, merges=[])
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(path))
    return words


def _fill(spec: Any, vocabulary_size: int, rng: np.random.Generator) -> None:
    def weights(*shape: int) -> NDArray[np.float32]:
        return np.asarray(rng.standard_normal(shape) / np.sqrt(shape[-1]), dtype=np.float32)

    def linear(layer: Any, inputs: int, outputs: int) -> None:
        layer.weight, layer.bias = weights(outputs, inputs), np.zeros(outputs, np.float32)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)

    def attention(layer: Any, *, own: bool) -> None:
        norm(layer.layer_norm)
        shapes = [3, 1] if own else [1, 2, 1]
        for part, times in zip(layer.linear, shapes, strict=True):
            linear(part, WIDTH, times * WIDTH)

    def feed_forward(layer: Any) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, WIDTH, 4 * WIDTH)
        linear(layer.linear_1, 4 * WIDTH, WIDTH)

    encoder, decoder = spec.encoder, spec.decoder
    # Loud and quiet frames must reach the decoder as different ones, so the first layers are strong.
    encoder.conv1.weight, encoder.conv1.bias = 8 * weights(WIDTH, MELS, 3), np.zeros(WIDTH, np.float32)
    encoder.conv2.weight, encoder.conv2.bias = 8 * weights(WIDTH, WIDTH, 3), np.zeros(WIDTH, np.float32)
    encoder.position_encodings.encodings = weights(POSITIONS, WIDTH)
    norm(encoder.layer_norm)
    for layer in encoder.layer:
        attention(layer.self_attention, own=True)
        feed_forward(layer.ffn)
    decoder.embeddings.weight = weights(vocabulary_size, WIDTH)
    decoder.position_encodings.encodings = 4 * weights(448, WIDTH)
    norm(decoder.layer_norm)
    for layer in decoder.layer:
        attention(layer.self_attention, own=True)
        attention(layer.attention, own=False)
        feed_forward(layer.ffn)
    decoder.projection.weight = weights(vocabulary_size, WIDTH)
